"""Calls of the library in a process of their own, for what it takes from the process's environment.

As a program it reads a task (JSON) on stdin and prints what came of it; `in_process` runs it so.
"""

import json
import os
import subprocess
import sys

# What a test machine may have set, and what would then decide in the test's stead.
DECIDES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"]
DECIDES += ["ssl_cert_file", "ssl_cert_dir"]
DECIDES += ["obs_access_key_id", "obs_secret_access_key", "obs_security_token"]


def clean_environment(**more):
    kept = {name: value for name, value in os.environ.items() if name.lower() not in DECIDES}
    return {**kept, **more}


def in_process(environment, calls=1, bucket="bucket", **settings):
    """Aborts through a client with these settings, under this environment and no other.

    -> {"code", "message"} if there was no client, or a list of such with http_status and attempts.
    """
    task = {"settings": settings, "calls": calls, "bucket": bucket}
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=90,
        env=clean_environment(**environment),
    )
    if done.returncode != 0:
        raise AssertionError(f"the calling process ended with {done.returncode}: {done.stderr}")
    assert done.stderr == "", f"the library wrote on stderr: {done.stderr}"
    return json.loads(done.stdout)


def main():
    import obsabort

    task = json.load(sys.stdin)
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in task["settings"].items()
    }
    if isinstance(settings.get("credentials"), int):
        settings["credentials"] = obsabort.CredentialSource(settings["credentials"])
    try:
        client = obsabort.Client(**settings)
    except obsabort.Error as error:
        print(json.dumps({"code": error.code, "message": error.message}))
        return
    # Read once, when the client was made: what becomes of it afterwards must not matter.
    for name in DECIDES:
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    outcomes = []
    for number in range(task["calls"]):
        outcome = client.try_abort(task["bucket"], "key", f"upload{number}")
        names = ("code", "message", "http_status", "attempts")
        outcomes.append({name: getattr(outcome, name) for name in names})
    client.close()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
