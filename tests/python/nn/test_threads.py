"""However many threads call, the core computes on the threads it was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from reference_nets import lite0_reference, tiny_bert, write_bert, write_lite0

# Runs in a process of its own, where no other library has threads. Prints how many threads there were before and at
# most during the storm, and the processor time of every thread it added.
STORM = """
import json, os, sys, threading, time
import numpy as np
from matinee import _core

CALLERS, ASKED = 32, 2
_core.set_num_threads(ASKED)
bert = _core.TokenEncoder.load(sys.argv[1], "fp32")
net = _core.ConvNet.load(sys.argv[2], "fp32")
token_ids = np.arange(40 * 30, dtype=np.int32) % 90
offsets = np.arange(41, dtype=np.int64) * 30
pixels = np.ones((2, 3, 64, 64), np.float32)
bert.encode(token_ids, offsets), net.features(pixels)  # warm: everything that lives as long as the process is there

def tasks():
    return os.listdir("/proc/self/task")

def seconds(task):  # of processor time; proc(5), stat, fields 14 and 15
    fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

before = len(tasks())
stop = time.perf_counter() + float(sys.argv[3])
calls = [0] * CALLERS
callers_seconds = [0.0] * CALLERS

def call(number):
    while time.perf_counter() < stop or calls[number] < 3:
        bert.encode(token_ids, offsets), net.features(pixels)
        calls[number] += 1
    callers_seconds[number] = time.thread_time()

threads = [threading.Thread(target=call, args=(i,)) for i in range(CALLERS)]
start = time.process_time()
for thread in threads:
    thread.start()
most = 0
while any(thread.is_alive() for thread in threads):
    most = max(most, len(tasks()))
    time.sleep(0.002)
print(json.dumps({"before": before, "most": most, "calls": min(calls),
                  "all_seconds": time.process_time() - start, "callers_seconds": sum(callers_seconds)}))
"""


def test_32_callers_make_no_more_compute_threads_than_asked_for(tmp_path: Path) -> None:
    bert = write_bert(tmp_path / "bert", tiny_bert())
    net = write_lite0(tmp_path / "net", lite0_reference(64), 64)
    done = subprocess.run(
        [sys.executable, "-c", STORM, str(bert), str(net), "1.0"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["calls"] >= 3
    # Beside what was there (the main thread and two workers, nothing of another library) only the callers themselves.
    assert found["most"] <= found["before"] + 32, found
    # And the callers wait; they do not compute.
    assert found["callers_seconds"] < 0.25 * found["all_seconds"], found
