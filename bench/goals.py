"""The goals, once: gates.py and run.py judge by them."""

MIN_RATE_OF_CURL = {"http": 1.5, "tls": 1.45}
MIN_RATE_OF_RAW = 0.95
MAX_INSTRUCTIONS_OF_CURL = 0.30
MAX_SYSTEM_CALLS = 3
MIN_OF_IDEAL_MANY = 0.95
MAX_MEMORY_KB = {("http", 1): 2048, ("tls", 8): 4096}
MAX_SWEEP_KB = 2048  # more for 100 000 stale uploads than for 1000
MAX_COLD_OF_CURL = 0.25
MAX_SIZE = 2_500_000
ALLOWED_LIBRARIES = r"lib(c|pthread|dl)\.so\.\d+|libgcc_s\.so\.1|ld-linux.*|ld64.*|ld\.so.*"  # libc's own parts, and libgcc_s
