"""What works beside the callers of a store, on threads of its own: begun when it is opened, ended when it is closed."""

from __future__ import annotations

from dataclasses import replace

from pictact_actors.alarms import Alarms
from pictact_actors.backups import Backups
from pictact_actors.janitor import Janitor
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.runtime.statistics import Statistics
from pictact_actors.scrubbing import Scrubber
from pictact_actors.serving import MetricsServer


class Services:
    """The services of one store. A store that finds no room for one of them is closed again, and says why."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.janitor = Janitor(runtime)
        self.backups = Backups(runtime)
        self.scrubber = Scrubber(runtime)
        self.alarms = Alarms(runtime)
        self.metrics: MetricsServer | None = None

    def start(self) -> None:
        """Begin. Raises `InvalidValue` if the port for metrics is taken; nothing is left running then."""
        try:
            self.metrics = self._serving()
            self.janitor.start()
            self.backups.start()
            self.scrubber.start()
            self.alarms.start()
        except BaseException:
            self.stop()
            self._runtime.close()
            raise

    def stop(self) -> None:
        """End, but for steps that are being done."""
        if self.metrics is not None:
            self.metrics.close()
        self.alarms.stop()
        self.scrubber.stop()
        self.backups.stop()
        self.janitor.stop()

    def _serving(self) -> MetricsServer | None:
        port = self._runtime.config.metrics_port
        if port is None:
            return None
        from pictact_actors.metrics import serving  # noqa: PLC0415 - its library registers things where it is imported

        return serving(self._runtime, self.statistics, port)

    def statistics(self) -> Statistics:
        """Return counters and sizes of the store and of its services."""
        last, cleaned = self.backups.last, self.janitor.cleaned
        return replace(
            self._runtime.statistics(),
            backup_seq=None if last is None else last.seq,
            backup_age_s=self.backups.age_s,
            scrubs=self.scrubber.passes,
            scrub_problems=len(self.scrubber.found),
            alarms=self.alarms.told,
            wake_lag_s=self.alarms.wake_lag_s,
            cleanups=cleaned["cleanups"],
            cleaned_matches=cleaned["matches"],
            cleaned_records=cleaned["records"],
            cleanup_age_s=self.janitor.cleanup_age_s,
            metrics_port=None if self.metrics is None else self.metrics.port,
        )
