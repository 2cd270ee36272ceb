"""The goals, once: gates.py and run.py judge by them."""

MIN_RATE_OF_CURL = {"http": 1.5, "tls": 1.7}
MIN_RATE_OF_RAW = 0.95
MAX_INSTRUCTIONS_OF_CURL = {"http": 0.20, "tls": 0.22}
MAX_REFUSAL_OF_CURL = 0.5  # instructions of a refusal with an XML body, against libcurl's 204
REFUSALS = (404, 503)
MAX_SYSTEM_CALLS = 3
MIN_OF_IDEAL_MANY = {(32, 20): 0.95, (128, 100): 0.93}  # by (uploads at a time, delay in ms)
MAX_TIME_OF_CURL_MULTI = {(32, 20): 1.0}  # likewise
MIN_RATE_OF_500S = 0.5  # 10 % random 503s against 10 % random 500s, 32 wide, 20 ms away
LIMIT = {"rate": 200, "burst": 50}  # of a service that refuses what goes beyond
MIN_OF_LIMIT, MAX_REFUSED_OF_LIMIT = 0.9, 0.15  # the rate, and the share of requests that is refused
MAX_PROCESSOR_OF_THREADS = 1.2  # obs_abort_many, against as many threads of the caller
MAX_MEMORY_KB = {("http", 1): 2048, ("tls", 8): 4096}
MAX_SWEEP_KB = 2048  # more for 100 000 stale uploads than for 1000
MAX_COLD_OF_CURL = 0.25
MAX_SIZE = 2_500_000
ALLOWED_LIBRARIES = r"lib(c|pthread|dl)\.so\.\d+|libgcc_s\.so\.1|ld-linux.*|ld64.*|ld\.so.*"  # libc's own parts, and libgcc_s

# bench/sweep.py: 2000 stale uploads, obs-abort against other programs.
MIN_SWEEP_OF_RCLONE = {"rgw": 3, "far": 20}  # times as fast
MIN_SWEEP_OF_BOTO3 = 2.3
MAX_SWEEP_PROCESSOR_OF_RCLONE = 0.2
MAX_SWEEP_PEAK_KB = 10 * 1024
MAX_SWEEP_IDLE = 2.2  # with idle checked: a ListParts before each DELETE
