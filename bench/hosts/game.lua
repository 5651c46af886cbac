-- One side of the game for wrk: all writes or all reads, so that wrk times each on its own.
-- wrk ... -s game.lua URL -- NAME PLAYERS METHOD BODY PATH...
-- In the body and the paths, $user is a player and $id a request id that was never used before; the paths take turns.

local threads = 0

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

function init(arguments)
   name, players, method, body = arguments[1], tonumber(arguments[2]), arguments[3], arguments[4]
   paths = { unpack(arguments, 5) }
   sent = 0
   math.randomseed(number)
end

function request()
   local path = paths[sent % #paths + 1]
   sent = sent + 1
   local words = { user = "player" .. math.random(0, players - 1), id = name .. "-" .. number .. "-" .. sent }
   local headers = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = words.id }
   return wrk.format(method, path:gsub("%$(%a+)", words), headers, body ~= "" and body:gsub("%$(%a+)", words) or nil)
end

function done(summary, latency)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      '\n{"calls": %d, "seconds": %f, "failed": %d, "p50": %f, "p95": %f, "p99": %f}\n',
      summary.requests, summary.duration / 1e6, failed,
      latency:percentile(50) / 1e6, latency:percentile(95) / 1e6, latency:percentile(99) / 1e6))
end
