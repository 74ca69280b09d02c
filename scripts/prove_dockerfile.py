#!/usr/bin/env python3
"""Runs the steps of docker/Dockerfile without a Docker engine, each stage in a Debian root of its own.

    sudo scripts/prove_dockerfile.py --work /var/tmp/proof builder api ui
    sudo scripts/prove_dockerfile.py --work /var/tmp/proof --volume DIR:/var/lib/matinee --start api --start ui

Reads FROM, ARG, ENV, WORKDIR, COPY (--from, --chown), RUN (shell form), USER, HEALTHCHECK, ENTRYPOINT, CMD, EXPOSE and
VOLUME; anything else stops it, so that no step goes unproved. A minimal debootstrap plays `debian:bookworm-slim`; the
build context is what git tracks, less .dockerignore. --start runs a stage's ENTRYPOINT and CMD as its USER and waits
until its own HEALTHCHECK passes, then stops it. What this cannot show: Docker's layer cache, networks, volumes and
resource limits.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from debian_root import DebianRoot, Machine, add_arguments, copy_tree, enter_namespace, split_pair

BASES = {"debian:bookworm-slim"}
# Instruction -> the flags of it that are understood.
KNOWN_FLAGS: dict[str, set[str]] = {
    "COPY": {"from", "chown"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "retries"},
    **{name: set() for name in ("ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "RUN", "USER", "VOLUME", "WORKDIR")},
}
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile: `RUN`, its flags, the rest of its line, and the number of its first line."""

    name: str
    flags: dict[str, str]
    rest: str
    line: int


@dataclass
class Stage:
    """The instructions between one FROM and the next."""

    name: str
    base: str
    steps: list[Instruction] = field(default_factory=list)


class DockerfileError(ValueError):
    """A Dockerfile that this script does not understand, with the line."""


def parse_dockerfile(text: str) -> list[Stage]:
    """The stages of a Dockerfile in order; DockerfileError for anything beyond the subset above."""
    stages: list[Stage] = []
    for line, logical in logical_lines(text):
        name, _, rest = logical.partition(" ")
        name, rest = name.upper(), rest.strip()
        flags = {}
        while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        if name == "FROM":
            match = re.fullmatch(r"(\S+)(?:\s+[Aa][Ss]\s+(\S+))?", rest)
            if not match or flags:
                raise DockerfileError(f"line {line}: FROM: expected IMAGE [AS NAME], got {rest!r}")
            known = {stage.name for stage in stages}
            if match[1] not in BASES | known:
                raise DockerfileError(f"line {line}: FROM: expected {sorted(BASES | known)}, got {match[1]!r}")
            stages.append(Stage(match[2] or str(len(stages)), match[1]))
            continue
        if name not in KNOWN_FLAGS:
            raise DockerfileError(f"line {line}: {name}: an instruction this script does not know")
        if unknown := set(flags) - KNOWN_FLAGS[name]:
            raise DockerfileError(f"line {line}: {name}: flags this script does not know: {sorted(unknown)}")
        if not stages:
            raise DockerfileError(f"line {line}: {name} before the first FROM")
        stages[-1].steps.append(Instruction(name, flags, rest, line))
    return stages


def logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of the first line, text) with comments gone and continued lines joined."""
    found: list[tuple[int, str]] = []
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        first = first if pending else number
        pending += line.strip().removesuffix("\\") if line.rstrip().endswith("\\") else line.strip()
        if line.rstrip().endswith("\\"):
            continue
        found.append((first, pending))
        pending = ""
    return found


def expand(text: str, variables: dict[str, str]) -> str:
    """Docker's $NAME, ${NAME} and ${NAME:-default}."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match[1] or match[3], match[2] or "")

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)", value, text)


def assignments(rest: str) -> list[tuple[str, str]]:
    """NAME=VALUE pairs of ENV and ARG, quotes taken off."""
    pairs = re.findall(r"(\w+)=(\"[^\"]*\"|\S*)", rest)
    return [(name, value.strip('"')) for name, value in pairs]


def ignored(name: str, patterns: list[str]) -> bool:
    """Whether .dockerignore leaves `name` (or a folder it lies in) out of the context."""
    parts = name.split("/")
    prefixes = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for pattern in patterns:
        if pattern.startswith("**/"):
            if any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts):
                return True
        elif any(fnmatch.fnmatchcase(prefix, pattern) for prefix in prefixes):
            return True
    return False


def make_context(target: Path) -> None:
    """The build context: the tracked files, less what .dockerignore names."""
    shutil.rmtree(target, ignore_errors=True)
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    listed = subprocess.check_output(["git", "-C", REPOSITORY, "ls-files", "-z"], text=True)
    for name in filter(None, listed.split("\0")):
        if not ignored(name, patterns) and (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


@dataclass
class Runner:
    """One stage being played in its root."""

    stage: Stage
    root: DebianRoot
    machine: Machine
    workdir: str = "/"
    user: str = "root"
    arguments: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    def play(self, *, execute: bool, context: Path) -> None:
        """Applies every instruction; with execute=False only the settings (the root was made by an earlier run)."""
        for step in self.stage.steps:
            rest = expand(step.rest, {**self.arguments, **self.root.env})
            match step.name:
                case "ENV":
                    self.root.env.update(assignments(rest))
                case "ARG":
                    self.arguments.update(assignments(rest))
                case "USER":
                    self.user = rest
                case "WORKDIR":
                    self.workdir = str(Path(self.workdir) / rest)
                    self.root.inside(self.workdir).mkdir(parents=True, exist_ok=True)
                case "COPY" if execute:
                    self._copy(step, rest, context)
                case "RUN" if execute:
                    self._run(step)
                case "ENTRYPOINT":
                    self.entrypoint = json.loads(step.rest)
                case "CMD":
                    self.command = json.loads(step.rest)
                case "HEALTHCHECK":
                    self.health = json.loads(step.rest.removeprefix("CMD").strip())
                case "VOLUME":
                    self.volumes.append(rest)

    def _run(self, step: Instruction) -> None:
        print(f"[{self.stage.name}] RUN {step.rest}", flush=True)
        settings = [f"{name}={value}" for name, value in self.arguments.items()]
        status = self.root.run(["env", *settings, "sh", "-c", step.rest], user=self.user, workdir=self.workdir)
        if status != 0:
            sys.exit(f"prove_dockerfile: line {step.line}: RUN {step.rest}: exit status {status}")

    def _copy(self, step: Instruction, rest: str, context: Path) -> None:
        print(f"[{self.stage.name}] COPY {step.rest}", flush=True)
        *sources, target = rest.split()
        base = context
        if "from" in step.flags:
            base = self.machine.work / f"stage-{step.flags['from']}"
        inside = self.root.inside(str(Path(self.workdir) / target))
        into_folder = target.endswith("/") or target in {".", "./"} or len(sources) > 1
        for source in sources:
            path = base / source.lstrip("/") if source not in {".", "./"} else base
            if not path.exists():
                sys.exit(f"prove_dockerfile: line {step.line}: COPY: no {source} in the build context")
            if path.is_dir():
                shutil.copytree(path, inside, symlinks=True, dirs_exist_ok=True)
            else:
                place = inside / path.name if into_folder else inside
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, place)
        if "chown" in step.flags:
            self.root.run(["chown", "-R", step.flags["chown"], str(Path(self.workdir) / target)])

    def start(self, limit_s: float) -> tuple[subprocess.Popen[bytes], float]:
        """Starts ENTRYPOINT + CMD as USER; returns once HEALTHCHECK passes, with the seconds that took."""
        begin = time.monotonic()
        line = self.root.command([*self.entrypoint, *self.command], user=self.user, workdir=self.workdir)
        process = subprocess.Popen(line, start_new_session=True)
        while self.root.run(self.health, user=self.user, workdir=self.workdir) != 0:
            if process.poll() is not None:
                sys.exit(f"prove_dockerfile: {self.stage.name}: ended with status {process.returncode} before healthy")
            if time.monotonic() - begin > limit_s:
                os.killpg(process.pid, signal.SIGKILL)
                sys.exit(f"prove_dockerfile: {self.stage.name}: not healthy after {limit_s:.0f} s")
            time.sleep(1)
        return process, time.monotonic() - begin


def build_stages(stages: list[Stage], wanted: list[str], machine: Machine) -> dict[str, Runner]:
    """Builds the wanted stages, takes up those an earlier run built; stage name -> its runner."""
    context = machine.work / "context"
    make_context(context)
    players: dict[str, Runner] = {}
    for stage in stages:
        begin = time.monotonic()
        parent = players.get(stage.base)
        folder = machine.work / f"stage-{stage.name}"
        if stage.name not in wanted:
            if not folder.exists():
                continue
            root = DebianRoot(folder, machine)
        elif parent:
            root = copy_tree(parent.root.folder, folder, machine)
        else:
            root = DebianRoot.fresh(machine, folder.name)
        root.mount()
        player = players[stage.name] = Runner(stage, root, machine)
        if parent:
            root.env.update(parent.root.env)
            player.workdir, player.user = parent.workdir, parent.user
        player.play(execute=stage.name in wanted, context=context)
        if stage.name in wanted:
            print(f"prove_dockerfile: {stage.name}: built in {time.monotonic() - begin:.0f} s", flush=True)
    return players


def start_stages(players: list[Runner], arguments: argparse.Namespace) -> int:
    """Starts the stages in order, runs the --check commands while all are up, stops them; 0 when every check passed."""
    processes = []
    for player in players:
        player.root.env.update(pair.split("=", 1) for pair in arguments.start_env)
        # What Docker's network and volumes do: services know each other by name, a new volume belongs to the user.
        names = " ".join(other.stage.name for other in players)
        player.root.inside("etc/hosts").write_text(f"127.0.0.1 localhost {names}\n", encoding="utf-8")
        for source, target in map(split_pair, arguments.volume):
            if target in player.volumes:
                source.mkdir(parents=True, exist_ok=True)
                player.root.mount_folder(source, target, writable=True)
                player.root.run(["chown", f"{player.user}:", target])
        for stage, *words in map(shlex.split, arguments.run):
            if stage == player.stage.name:
                begin = time.monotonic()
                status = player.root.run([*player.entrypoint, *words], user=player.user, workdir=player.workdir)
                print(f"prove_dockerfile: {stage} {' '.join(words)}: {status} after {time.monotonic() - begin:.0f} s")
                if status != 0:
                    sys.exit(status)
        process, seconds = player.start(limit_s=300)
        processes.append(process)
        print(f"prove_dockerfile: {player.stage.name}: healthy after {seconds:.1f} s as {player.user}", flush=True)
    status = 0
    for check in arguments.check:
        status |= subprocess.run(["sh", "-c", check], check=False).returncode
    for process in reversed(processes):
        os.killpg(process.pid, signal.SIGTERM)
        print(f"prove_dockerfile: stopped with status {process.wait(timeout=30)}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--dockerfile", type=Path, default=REPOSITORY / "docker/Dockerfile")
    parser.add_argument("--volume", action="append", default=[], metavar="SRC:DST", help="folder to mount, writable")
    parser.add_argument(
        "--run", action="append", default=[], metavar="'STAGE ARG…'", help="as docker run, before the stage is started"
    )
    parser.add_argument("--start", action="append", default=[], metavar="STAGE", help="start it until it is healthy")
    parser.add_argument("--start-env", action="append", default=[], metavar="NAME=VALUE", help="as docker run --env")
    parser.add_argument("--check", action="append", default=[], metavar="COMMAND", help="shell command to run then")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="stages to build (those built before are used)")
    arguments = parser.parse_args()
    stages = parse_dockerfile(arguments.dockerfile.read_text(encoding="utf-8"))
    names = [stage.name for stage in stages]
    if unknown := set(arguments.stages + arguments.start) - set(names):
        parser.error(f"no stages {sorted(unknown)}; the Dockerfile has {names}")
    enter_namespace()
    players = build_stages(stages, arguments.stages, Machine.from_arguments(arguments))
    return start_stages([players[name] for name in arguments.start], arguments)


if __name__ == "__main__":
    sys.exit(main())
