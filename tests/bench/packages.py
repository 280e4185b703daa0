"""The peers' packages: installed once below build/bench, at the pinned versions."""

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

from harness import ROOT

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
WORK = ROOT / "build" / "bench"
NODE_PEERS = ("ts-sdk", "mcp-handler")
PYTHON_PEERS = ("fastmcp",)


def bench_program(name):
    """A program that the Makefile made of tests/bench/<name>.c."""
    return ROOT / os.environ.get("OUT", "build/release") / "tests" / "bench" / name


def node_command(peer):
    return [shutil.which("node"), WORK / peer / "server.mjs"]


def python_command(peer):
    return [WORK / peer / "venv" / "bin" / "python", WORK / peer / "server.py"]


def install_tools():
    """npm and venv, from Debian's packages, where the machine has none."""
    commands = all(shutil.which(command) for command in ("node", "npm"))
    if not commands or not importlib.util.find_spec("ensurepip"):
        subprocess.run([ROOT / ".ci" / "deps", "bench"], check=True)


def is_installed(pins, place):
    """Whether `place` was made from the file `pins` as it is now."""
    stamp = place / ".stamp"
    return stamp.exists() and stamp.read_text() == digest(pins)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def begin(pins, place):
    print(f"installing the packages of {pins.relative_to(ROOT)}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)


def install_node_peer(peer):
    pins, place = PEERS / peer / "package.json", WORK / peer
    if not is_installed(pins, place):
        begin(pins, place)
        shutil.copy(pins, place)
        # Peer dependencies name frameworks that no code path here loads.
        subprocess.run(
            ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
             "--legacy-peer-deps", "--ignore-scripts", "--loglevel=error"],
            cwd=place, check=True, stdout=subprocess.DEVNULL)
        (place / ".stamp").write_text(digest(pins))
    # A script finds its packages by walking up from where it is.
    shutil.copy(PEERS / peer / "server.mjs", place)


def install_python_peer(peer):
    pins, place = PEERS / peer / "requirements.txt", WORK / peer
    if not is_installed(pins, place):
        begin(pins, place)
        subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
        subprocess.run(
            [place / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet",
             "--disable-pip-version-check", "--requirement", pins], check=True)
        (place / ".stamp").write_text(digest(pins))
    shutil.copy(PEERS / peer / "server.py", place)


def install():
    WORK.mkdir(parents=True, exist_ok=True)
    install_tools()
    for peer in NODE_PEERS:
        install_node_peer(peer)
    for peer in PYTHON_PEERS:
        install_python_peer(peer)


def versions():
    """{peer: what it is, with its pinned version}."""
    found = {}
    for peer in NODE_PEERS:
        pins = json.loads((PEERS / peer / "package.json").read_text())["dependencies"]
        found[peer] = ", ".join(f"{name} {pin}" for name, pin in pins.items() if name != "zod")
    for peer in PYTHON_PEERS:
        found[peer] = (PEERS / peer / "requirements.txt").read_text().strip().replace("==", " ")
    return found
