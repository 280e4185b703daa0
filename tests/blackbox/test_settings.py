"""Command lines, settings from the environment and .env, and .env.example."""

import re
import subprocess

import pytest

from harness import BIN, PATIENCE, ROOT, clean_environment, work_directory

PROXY, CALCULATOR = "mcp-proxy", "mcp-worker-calculator"
OPENAPI = "mcp-worker-openapi"
PROGRAMS = [PROXY, CALCULATOR]


@pytest.fixture
def directory():
    return work_directory("settings")


def run(program, directory, *arguments, **settings):
    return subprocess.run([BIN / program, *arguments], cwd=directory, text=True, check=False,
                          env=clean_environment(**settings), capture_output=True,
                          timeout=10 * PATIENCE)


def printed(program, directory, **settings):
    """--print-config as a dictionary."""
    done = run(program, directory, "--print-config", **settings)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def options_of_help(program, directory):
    text = run(program, directory, "--help").stdout
    return set(re.findall(r"^\s*([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", text, re.M))


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(program, directory):
    done = run(program, directory, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert program in done.stdout
    assert {"REDIS_URL", "POD_NAME", "LOG_LEVEL"} <= options_of_help(program, directory)


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program, directory):
    done = run(program, directory, "--version")
    version = re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.M)[1]
    assert (done.returncode, done.stdout.strip()) == (0, f"{program} {version}")


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_argument(program, directory):
    done = run(program, directory, "--frobnicate")
    assert done.returncode == 2
    assert "--frobnicate" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_print_config_is_fit_for_a_dotenv_file(program, directory):
    first = run(program, directory, "--print-config", POD_NAME="my-pod", LOG_LEVEL="warn")
    (directory / ".env").write_text(first.stdout)
    assert run(program, directory, "--print-config").stdout == first.stdout
    assert "POD_NAME=my-pod" in first.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_print_config_name_the_same_options(program, directory):
    text = run(program, directory, "--print-config").stdout
    assert set(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", text, re.M)) == \
        options_of_help(program, directory)


def test_passwords_are_not_printed(directory):
    text = run(PROXY, directory, "--print-config",
               REDIS_URL="redis://app:geheim@127.0.0.1:6379/0").stdout
    assert "geheim" not in text and "127.0.0.1:6379" in text
    wrong = run(PROXY, directory, REDIS_URL="redis://app:geheim@:x/y")
    assert wrong.returncode == 2 and "geheim" not in wrong.stderr + wrong.stdout


@pytest.mark.parametrize("program, name, value", [
    (PROXY, "MCP_SERVER_PORT", "x"), (PROXY, "MCP_SERVER_PORT", "65536"),
    (PROXY, "MCP_SERVER_PORT", "-1"), (PROXY, "PROXY_THREADS", "100000"),
    (PROXY, "PROXY_THREADS", "1.5"), (PROXY, "HTTP_MAX_BODY", "12q"),
    (PROXY, "HTTP_HEADER_TIMEOUT", "soon"), (PROXY, "HTTP_MAX_CONNECTIONS", "0x10"),
    (PROXY, "LOG_LEVEL", "loud"), (PROXY, "REDIS_URL", "http://127.0.0.1"),
    (PROXY, "REDIS_URL", "redis://127.0.0.1:99999"), (PROXY, "POD_NAME", "a{b}"),
    (PROXY, "POD_NAME", "x" * 200), (PROXY, "SSE_PING_INTERVAL", "99999999999999999999"),
    (PROXY, "MCP_SERVER_HOST", "no such host"), (CALCULATOR, "LOG_LEVEL", "loud"),
    (PROXY, "JWT_JWKS", "ftp://keys"), (PROXY, "AUTHORIZATION_SERVERS", "auth.example.com"),
    (PROXY, "ALLOWED_ORIGINS", "app.example.com"), (PROXY, "ALLOWED_HOSTS", "https://a.example"),
    (CALCULATOR, "REDIS_URL", "redis://"), (CALCULATOR, "POD_NAME", "a b"),
    (OPENAPI, "UPSTREAM_CA", "/no/such/file"), (OPENAPI, "UPSTREAM_NETWORKS", "10.0.0")])
def test_wrong_setting_is_named(program, directory, name, value):
    done = run(program, directory, **{name: value})
    assert done.returncode == 2
    assert name in done.stderr
    assert value in done.stderr or name == "REDIS_URL"


def test_all_wrong_settings_are_named_at_once(directory):
    done = run(PROXY, directory, LOG_LEVEL="loud", MCP_SERVER_PORT="x")
    assert done.returncode == 2
    assert "LOG_LEVEL" in done.stderr and "MCP_SERVER_PORT" in done.stderr


def test_dotenv_is_read_and_the_environment_wins(directory):
    (directory / ".env").write_text(
        "# a comment\nexport MCP_SERVER_PORT=4711\nPROXY_THREADS='3'\n"
        'POD_NAME="from-file"\nOTHER_PROGRAM=1\n')
    config = printed(PROXY, directory, POD_NAME="from-environment")
    assert (config["MCP_SERVER_PORT"], config["PROXY_THREADS"]) == ("4711", "3")
    assert config["POD_NAME"] == "from-environment"
    assert printed(PROXY, directory, POD_NAME="")["POD_NAME"] == "from-file"


@pytest.mark.parametrize("line", ["MCP_SERVER_PORT", "MCP_SERVER_PORT=x", "=5",
                                  'POD_NAME="open', "1A=2"])
def test_wrong_line_of_dotenv_is_named(directory, line):
    (directory / ".env").write_text(f"# first\n{line}\n")
    done = run(PROXY, directory)
    assert done.returncode == 2
    assert ".env" in done.stderr or "MCP_SERVER_PORT" in done.stderr


def test_env_example_holds_every_option_and_no_other(directory):
    workers = sorted(path.name for path in BIN.glob("mcp-worker-*")
                     if path.name != "mcp-worker-conformance")
    options = set().union(*(options_of_help(program, directory) for program in [PROXY, *workers]))
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?\s?([A-Z][A-Z0-9_]*)=", text, re.M)) == options


def test_env_example_is_a_valid_dotenv_file(directory):
    (directory / ".env").write_text((ROOT / ".env.example").read_text())
    for program in PROGRAMS:
        assert printed(program, directory, POD_NAME="x") == printed(
            program, work_directory("settings"), POD_NAME="x")


def test_port_in_use_is_said(system, directory):
    """Two proxies of different users cannot share a port by accident."""
    done = subprocess.Popen([BIN / PROXY], cwd=directory, stderr=subprocess.PIPE, text=True,
                            env=clean_environment(MCP_SERVER_PORT=system.redis.port,
                                                  MCP_SERVER_HOST="127.0.0.1",
                                                  REDIS_URL=system.redis.url))
    try:
        _, stderr = done.communicate(timeout=10 * PATIENCE)
    finally:
        done.kill()
    assert done.returncode not in (0, None)
    assert str(system.redis.port) in stderr
