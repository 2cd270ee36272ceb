"""The servers whose stale uploads bench/sweep.py has swept: those of the suites in tests/e2e."""

import os
import queue
import sys
import threading

import measure

sys.path[:0] = [os.path.join(measure.ROOT, "tests/e2e"), os.path.join(measure.ROOT, "bindings/python")]

import rgw  # noqa: E402
import support  # noqa: E402

BUCKET = "backups"
PART = b"x" * 1024


def processor_ms(processes):
    """What they have used up to now."""
    ticks = 0
    for process in processes:
        with open(f"/proc/{process.pid}/stat") as file:
            user, system = file.read().rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks * 1e3 / os.sysconf("SC_CLK_TCK")


class OnRgw:
    """Ceph RGW, and another on the same store whose clock is behind, which makes the uploads."""

    keys = rgw.ACCESS_KEY, rgw.SECRET_KEY

    def __init__(self):
        self.server = rgw.Rgw()
        self.old_port = None
        self.endpoint = f"http://127.0.0.1:{self.server.port}"
        self.other = self.server.other_client()
        self.other.create_bucket(BUCKET)

    def fill(self, count, age):
        if self.old_port is None:
            self.old_port = self.server.start_skewed(f"-{age}s")
        todo = queue.SimpleQueue()
        for number in range(count):
            todo.put(f"2026/11/backup-{number:05}.tar")
        threads = [threading.Thread(target=self._make, args=(todo, age)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made = self.left()
        assert made == count, f"{made} of {count} uploads could be made"

    def _make(self, todo, age):
        other = self.server.other_client(port=self.old_port)
        other.clock_offset = -age
        try:
            while True:
                key = todo.get_nowait()
                other.upload_part(BUCKET, key, other.initiate(BUCKET, key), 1, PART)
        except queue.Empty:
            pass
        finally:
            other.close()

    def left(self):
        return len(self.other.list_uploads(BUCKET))

    def processor_ms(self):
        return processor_ms(self.server.processes)

    def stop(self):
        self.other.close()
        self.server.stop()


class Far:
    """obs-local, some way off. It knows the older signatures alone, and takes those of the other clients as they are."""

    keys = support.ObsLocal.access_key, support.ObsLocal.secret_key

    def __init__(self, latency_ms=20):
        self.server = support.ObsLocal("--control", "--no-verify", "--bucket", BUCKET, "--latency-ms", str(latency_ms))
        self.endpoint = self.server.endpoint

    def fill(self, count, age):
        self.server.control(f"uploads {BUCKET}:{count}:{age}:2026/11/")
        made = self.left()
        assert made == count, f"{made} of {count} uploads could be made"

    def left(self):
        return int(self.server.control(f"upload-count {BUCKET}"))

    def processor_ms(self):
        return processor_ms([self.server])

    def stop(self):
        self.server.stop()
