"""Who asked what and how long it took: request ids, the access log, Prometheus metrics."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator

from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from matinee.bundle import EncodingStatistics

access_log = logging.getLogger("matinee.access")

# An id that came from outside goes into logs and headers: only harmless characters, and not many of them.
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Seconds. A cached read takes well under a millisecond, an encoded poster tens of them.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """The numbers and log lines of one application; registers its hooks and answers /metrics.

    The registry is this process's own, which is right for the one worker (with many threads) that `matinee serve`
    starts: the core spreads the work over the processors, and a second worker would hold a second copy of everything.
    """

    def __init__(self, app: Flask) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "matinee_requests_total", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "matinee_request_seconds",
            "Time from the first byte to the answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._in_progress = Gauge(
            "matinee_requests_in_progress", "Requests being answered now.", registry=self.registry
        )
        self._ready = Gauge("matinee_ready", "1 where a bundle is open.", registry=self.registry)
        app.before_request(self._begin)
        app.after_request(self._end)
        app.teardown_request(self._leave)

    def watch_ready(self, ready: object) -> None:
        """Asks the callable `ready` whenever the metrics are read."""
        assert callable(ready)
        self._ready.set_function(lambda: float(bool(ready())))

    def watch_encoding(self, statistics: Callable[[], EncodingStatistics | None]) -> None:
        """Asks `statistics` whenever the metrics are read."""
        self.registry.register(_Encoding(statistics))

    def exposition(self) -> Response:
        """The metrics in Prometheus' text format."""
        return Response(generate_latest(self.registry), content_type=CONTENT_TYPE_LATEST)

    def _begin(self) -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        g.started = time.perf_counter()
        g.counted = True
        self._in_progress.inc()

    def _end(self, response: Response) -> Response:
        seconds = time.perf_counter() - g.started
        method = request.method if request.method in _METHODS else "OTHER"
        # The rule, not the path: a label for every film id would never stop growing.
        route = request.url_rule.rule if request.url_rule is not None else "(none)"
        self._requests.labels(method, route, str(response.status_code)).inc()
        self._seconds.labels(method, route).observe(seconds)
        response.headers["X-Request-ID"] = g.request_id
        # Whoever asks every few seconds whether all is well must not bury what people asked.
        level = logging.DEBUG if route in ("/health/live", "/health/ready", "/metrics") else logging.INFO
        access_log.log(
            level,
            json.dumps(
                {
                    "request_id": g.request_id,
                    "remote": request.remote_addr,
                    "method": request.method,
                    "path": request.path,
                    "route": route,
                    "status": response.status_code,
                    "ms": round(1000 * seconds, 2),
                    "bytes_in": request.content_length or 0,
                    "bytes_out": response.content_length,
                },
                ensure_ascii=True,  # a log line is one line, whatever the path holds
            ),
        )
        return response

    def _leave(self, _error: BaseException | None) -> None:
        if g.pop("counted", False):
            self._in_progress.dec()


_ENCODING = {
    "requests": "Requests for vectors that were admitted.",
    "batches": "Batches computed; requests that come together share one.",
    "items": "Texts or images in these batches.",
    "refused": "Requests for vectors refused because too much waited.",
    "cancelled": "Requests for vectors cancelled while they waited.",
}


class _Encoding(Collector):
    """The encoders' own counts. They begin again with every bundle that is opened, as counters may."""

    def __init__(self, statistics: Callable[[], EncodingStatistics | None]) -> None:
        self._statistics = statistics

    def collect(self) -> Iterator[Metric]:
        now = self._statistics()
        if now is None:
            return
        for name, text in _ENCODING.items():
            counter = CounterMetricFamily(f"matinee_encoder_{name}", text, labels=["encoder"])
            for kind, counts in now.batching.items():
                counter.add_metric([kind], counts[name])
            yield counter
        waiting = GaugeMetricFamily("matinee_encoder_waiting", "Texts or images waiting now.", labels=["encoder"])
        for kind, counts in now.batching.items():
            waiting.add_metric([kind], counts["waiting"])
        yield waiting
        texts = CounterMetricFamily("matinee_text_cache", "Texts asked for, remembered or not.", labels=["result"])
        texts.add_metric(["hit"], now.remembered_texts.hits)
        texts.add_metric(["miss"], now.remembered_texts.misses)
        yield texts
        yield GaugeMetricFamily("matinee_text_cache_bytes", "Of remembered texts.", value=now.remembered_texts.bytes)


__all__ = ["Telemetry", "access_log"]
