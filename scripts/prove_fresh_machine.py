#!/usr/bin/env python3
"""Runs commands (`make test`, `make demo`) in a fresh clone on a freshly debootstrapped Debian 12, and times them.

    sudo scripts/prove_fresh_machine.py --work /var/tmp/proof 'make test'
    sudo scripts/prove_fresh_machine.py --work /var/tmp/proof --until http://127.0.0.1:8000/health/ready 'make demo'

The new machine holds nothing but make, git and certificates (what the README tells a newcomer to have) and, with
--user NAME, an ordinary user who may use sudo; without it everything happens as root, as it does in CI. --shared DIR
puts the real data beside the clone, as CI has it. A command that serves for ever is given --until URL (more than once
if need be): once all of them answer 200 it is interrupted with Ctrl-C and must stop by itself; --again starts it a
second time.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from debian_root import DebianRoot, Machine, add_arguments, enter_namespace

REPOSITORY = Path(__file__).resolve().parents[1]
CLONE = "/src/matinee"


def answers(url: str) -> bool:
    """Whether a GET of `url` gets a 200 within two seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def prepare(root: DebianRoot, user: str, ref: str) -> None:
    """Installs what a newcomer is told to have, makes the user, and clones commit `ref` of this repository."""
    bundle = root.folder / "tmp/repository.bundle"
    subprocess.run(["git", "-C", REPOSITORY, "bundle", "create", "--quiet", bundle, ref], check=True)
    commit = subprocess.check_output(["git", "-C", REPOSITORY, "rev-parse", ref], text=True).strip()
    packages = "make git ca-certificates" + ("" if user == "root" else " sudo")
    steps = [f"apt-get -qq update && apt-get -qq install --yes --no-install-recommends {packages} >/dev/null"]
    if user != "root":
        steps += [
            f"useradd --create-home --shell /bin/bash {user}",
            f"echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}",
        ]
    steps += [f"mkdir -p {Path(CLONE).parent} && chown {user}: {Path(CLONE).parent}"]
    for step in steps:
        if root.run(["sh", "-c", step]) != 0:
            sys.exit(f"prove_fresh_machine: {step}: failed")
    clone = f"git clone --quiet --no-checkout /tmp/repository.bundle {CLONE} && cd {CLONE} && git checkout -q {commit}"
    if root.run(["sh", "-c", clone], user=user) != 0:
        sys.exit(f"prove_fresh_machine: {clone}: failed")


def serve_until(root: DebianRoot, command: str, urls: list[str], *, user: str, limit_s: float) -> float:
    """Starts a serving command, waits until every URL answers, stops it with Ctrl-C; returns seconds until then."""
    if any(map(answers, urls)):
        sys.exit(f"prove_fresh_machine: something answers at {' or '.join(urls)} already: stop it first")
    begin = time.monotonic()
    process = subprocess.Popen(root.command(shlex.split(command), user=user, workdir=CLONE), start_new_session=True)
    try:
        while not all(map(answers, urls)):
            if process.poll() is not None:
                sys.exit(f"prove_fresh_machine: {command}: ended with status {process.returncode} before it served")
            if time.monotonic() - begin > limit_s:
                sys.exit(f"prove_fresh_machine: {command}: not serving after {limit_s:.0f} s")
            time.sleep(0.25)
        serving_s = time.monotonic() - begin
        os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does: to the whole foreground group
        process.wait(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    time.sleep(1)
    if any(map(answers, urls)):
        sys.exit(f"prove_fresh_machine: {command}: still serving after Ctrl-C")
    return serving_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--ref", default="HEAD", help="commit or branch to clone")
    parser.add_argument("--user", default="root", help="who runs the commands; other than root: made, with sudo")
    parser.add_argument("--name", default="fresh", help="name of the new root under --work")
    parser.add_argument(
        "--keep", action="store_true", help="go on in the root of that name instead of making a new one"
    )
    parser.add_argument("--shared", type=Path, help="folder to put beside the clone as shared/")
    parser.add_argument(
        "--until", metavar="URL", action="append", default=[], help="the command serves: wait for these"
    )
    parser.add_argument("--again", action="store_true", help="start the serving command a second time")
    parser.add_argument("--limit", type=float, default=1800, help="seconds a serving command may take to come up")
    parser.add_argument("commands", nargs="+", metavar="COMMAND")
    arguments = parser.parse_args()
    enter_namespace()
    machine = Machine.from_arguments(arguments)
    if arguments.keep:
        root = DebianRoot(machine.work / arguments.name, machine)
        root.mount()
    else:
        root = DebianRoot.fresh(machine, arguments.name)
        root.mount()
        prepare(root, arguments.user, arguments.ref)
    if arguments.shared:
        root.mount_folder(arguments.shared.resolve(), str(Path(CLONE).parent / "shared"))

    took = []
    for command in arguments.commands:
        if arguments.until:
            took.append(
                (command, serve_until(root, command, arguments.until, user=arguments.user, limit_s=arguments.limit))
            )
            if arguments.again:
                took.append(
                    (f"{command} (again)", serve_until(root, command, arguments.until, user=arguments.user, limit_s=60))
                )
            continue
        begin = time.monotonic()
        status = root.run(shlex.split(command), user=arguments.user, workdir=CLONE)
        took.append((command, time.monotonic() - begin))
        if status != 0:
            print(f"prove_fresh_machine: {command}: exit status {status} after {took[-1][1]:.0f} s", file=sys.stderr)
            return status
    for command, seconds in took:
        print(f"prove_fresh_machine: {command}: {'served' if arguments.until else 'done'} after {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
