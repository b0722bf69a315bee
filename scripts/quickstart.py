"""Installs infctl into a virtual environment and does the main job once, for real: `python3 scripts/quickstart.py`.

init, plan, apply, a streamed completion from the engine, plan again, destroy. Every command is printed before it
runs, so that it can be typed by hand afterwards. Needs Python and pip, nothing else; leaves only .venv behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENV = ROOT / ".venv"
INFCTL = ENV / "bin" / "infctl"


def main() -> int:
    started = time.monotonic()
    say(f"python3 -m venv {ENV.name} && {ENV.name}/bin/pip install .")
    if not (ENV / "bin" / "python").exists():
        venv.create(ENV, with_pip=True)
    pip = [ENV / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", str(ROOT)]
    subprocess.run(pip, check=True)
    with tempfile.TemporaryDirectory(prefix="infctl-hello-") as folder:
        os.chdir(folder)
        run("init")
        run("plan", "-out", "hello.plan")
        try:
            run("apply", "hello.plan")
            url = run("output", "-raw", "hello.url", quiet=True)
            stream(url, "What is a plan?")
            print(f"\nFrom nothing to this answer in {time.monotonic() - started:.0f} s, installation included.")
            run("plan")
        finally:
            run("destroy", "-auto-approve")
    return 0


def say(line: str) -> None:
    print(f"\n$ {line}", flush=True)


def run(*arguments: str, quiet: bool = False) -> str:
    """Run infctl, its output on the terminal or, with `quiet`, returned. Raises CalledProcessError when it fails."""
    say(" ".join(["infctl", *arguments]))
    done = subprocess.run([INFCTL, *arguments], check=True, text=True, stdout=subprocess.PIPE if quiet else None)
    if quiet:
        print(done.stdout, flush=True)
    return (done.stdout or "").strip()


def stream(url: str, question: str) -> None:
    """Print a chat completion as its tokens arrive. Raises RuntimeError when none does."""
    body = {"model": "hello", "stream": True, "max_tokens": 64, "temperature": 0}
    body["messages"] = [{"role": "user", "content": question}]
    say(f"curl -N {url}/chat/completions -H 'content-type: application/json' -d '{json.dumps(body)}'")
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode(), headers)
    tokens = 0
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:]).get("choices") or [{}]
                text = choices[0].get("delta", {}).get("content") or ""
                tokens += bool(text)
                print(text, end="", flush=True)
    print(flush=True)
    if not tokens:
        raise RuntimeError(f"{url} streamed no token")


if __name__ == "__main__":
    sys.exit(main())
