"""A fresh Debian in a folder: what prove_fresh_machine.py and prove_dockerfile.py run their steps in.

The root is made by debootstrap and entered with chroot, inside a mount and process namespace of its own, so that
whatever is mounted or started disappears with the script. Needs root, debootstrap and unshare. What a machine needs to
reach its package mirrors (sources, certificates, pip's settings, folders of wheels) comes in by --copy, --mount and
--env; none of it is written into the repository.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

INSIDE_NAMESPACE = "MATINEE_PROOF_NAMESPACE"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def enter_namespace() -> None:
    """Starts this script again in its own mount and process namespace; returns only in there."""
    if os.environ.get(INSIDE_NAMESPACE):
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        return
    os.environ[INSIDE_NAMESPACE] = "1"
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    os.execvp("unshare", command)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options both scripts share."""
    parser.add_argument("--work", type=Path, required=True, help="folder for the roots (some 10 GB; made when absent)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="where debootstrap gets Debian from")
    parser.add_argument("--copy", action="append", default=[], metavar="SRC[:DST]", help="file or folder to copy in")
    parser.add_argument("--mount", action="append", default=[], metavar="SRC[:DST]", help="folder to mount read-only")
    parser.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]", help="variable to set or pass on")


@dataclass(frozen=True)
class Machine:
    """What the options say about the machine underneath, applied to every root."""

    work: Path
    mirror: str
    copies: tuple[tuple[Path, str], ...]
    mounts: tuple[tuple[Path, str], ...]
    env: Mapping[str, str]

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "Machine":
        variables = {}
        for item in arguments.env:
            name, equals, value = item.partition("=")
            variables[name] = value if equals else os.environ[name]
        return cls(
            work=arguments.work.resolve(),
            mirror=arguments.mirror,
            copies=tuple(map(split_pair, arguments.copy)),
            mounts=tuple(map(split_pair, arguments.mount)),
            env=variables,
        )


def split_pair(text: str) -> tuple[Path, str]:
    """ "SRC:DST" or "SRC" (the same path inside) as (path outside, path inside)."""
    source, _, target = text.partition(":")
    return Path(source).resolve(), target or source


@dataclass
class DebianRoot:
    """One root file system. `env` is what Docker's ENV would hold."""

    folder: Path
    machine: Machine
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def fresh(cls, machine: Machine, name: str) -> "DebianRoot":
        """A new minimal Debian 12 named `name`; the debootstrapped original is kept and copied."""
        original = machine.work / "debian"
        if not (original / "matinee-complete").exists():
            shutil.rmtree(original, ignore_errors=True)
            original.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", original, machine.mirror], check=True)
            (original / "matinee-complete").touch()
        root = copy_tree(original, machine.work / name, machine)
        for source, target in machine.copies:
            inside = root.inside(target)
            if source.is_dir():
                shutil.copytree(source, inside, dirs_exist_ok=True)
            else:
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, inside)
        # Two lists of one mirror only make apt complain; a copied list replaces debootstrap's.
        if any(root.inside("etc/apt/sources.list.d").glob("*.sources")):
            root.inside("etc/apt/sources.list").unlink(missing_ok=True)
        shutil.copy2("/etc/resolv.conf", root.inside("etc/resolv.conf"))
        return root

    def inside(self, path: str) -> Path:
        """Where the absolute path of the root lies outside."""
        return self.folder / path.lstrip("/")

    def mount(self) -> None:
        """Mounts /proc, /dev and the machine's folders; once a root and run of the script."""
        self._mount("-t", "proc", "proc", target="proc")
        self._mount("--rbind", "/dev", target="dev")
        for source, target in self.machine.mounts:
            self.mount_folder(source, target)

    def mount_folder(self, source: Path, target: str, *, writable: bool = False) -> None:
        """Shows the folder `source` of this machine at `target`."""
        self._mount("--bind", *([] if writable else ["-o", "ro"]), str(source), target=target)

    def _mount(self, *what: str, target: str) -> None:
        inside = self.inside(target)
        inside.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", *what, str(inside)], check=True)

    def command(self, arguments: list[str], *, user: str = "root", workdir: str = "/") -> list[str]:
        """The command line that runs `arguments` inside, with a clean environment."""
        home = "/root"
        if user != "root":
            entry = next(
                row for row in self.inside("etc/passwd").read_text().splitlines() if row.startswith(f"{user}:")
            )
            home = entry.split(":")[5]
        variables = {"PATH": SYSTEM_PATH, "HOME": home, **self.machine.env, **self.env}
        settings = [f"{name}={value}" for name, value in variables.items()]
        enter = ["chroot", f"--userspec={user}", str(self.folder), "env", "-i", *settings]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', workdir, *arguments]

    def run(self, arguments: list[str], *, user: str = "root", workdir: str = "/") -> int:
        """Runs `arguments` inside and returns the exit status."""
        return subprocess.run(
            self.command(arguments, user=user, workdir=workdir), stdin=subprocess.DEVNULL, check=False
        ).returncode


def copy_tree(source: Path, target: Path, machine: Machine) -> DebianRoot:
    """A copy of a root, hard work left to cp, which shares blocks where the file system can."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", "--one-file-system", str(source), str(target)], check=True)
    return DebianRoot(target, machine)
