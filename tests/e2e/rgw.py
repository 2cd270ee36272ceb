"""A real object store for the tests: Ceph RGW on a memory store, with nginx in front.

nginx rewrites nothing but the scheme word `OBS` to `AWS` in Authorization. Without x-obs- headers
the string to sign of both schemes is the same, so RGW truly verifies the library's OBS signatures.
Everything listens on 127.0.0.1, lives in one temporary directory and ends with the test.
"""

import json
import os
import uuid

import obsabort
import s3client
import support

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw")
PACKAGES = "ceph-mon ceph-osd ceph-common radosgw nginx-light"

ACCESS_KEY, SECRET_KEY = "RGWTESTACCESSKEY", "rgw-test-secret-key"
OTHER_ACCESS_KEY, OTHER_SECRET_KEY = "RGWOTHERACCESSKEY", "rgw-other-secret-key"
DOMAIN = "obs.test"

CEPH_CONF = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# With authentication off there is no key to encrypt the monitors' traffic with.
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_osd_full_ratio = 0.999
# RGW makes its pools one by one; each would wait a second for others to join it.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_objectstore = memstore
memstore_device_bytes = 1073741824
run_dir = {dir}
admin_socket =
pid_file =
log_file = {dir}/$name.log
mon_cluster_log_file = {dir}/cluster.log
crash_dir = {dir}
mon_data = {dir}/mon
osd_data = {dir}/osd
keyring = {dir}/keyring
rgw_data = {dir}/rgw
rgw_dns_name = {domain}
rgw_dynamic_resharding = false
# An upload of many parts can be completed without gigabytes.
rgw_multipart_min_part_size = 1
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_run_sync_thread = false
rgw_thread_pool_size = 64
"""

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/nginx-body;
    proxy_temp_path {dir}/nginx-proxy;
    fastcgi_temp_path {dir}/nginx-fastcgi;
    uwsgi_temp_path {dir}/nginx-uwsgi;
    scgi_temp_path {dir}/nginx-scgi;
    map $http_authorization $authorization {{
        default $http_authorization;
        "~^OBS (?<signed>.*)$" "AWS $signed";
    }}
    upstream rgw {{
        server 127.0.0.1:{rgw};
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port};
        merge_slashes off;
        large_client_header_buffers 8 32k;
        client_max_body_size 0;
        keepalive_requests 100000;
        location / {{
            # No URI after the upstream's name: the request target passes byte for byte.
            proxy_pass http://rgw;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header Authorization $authorization;
        }}
    }}
}}
"""


class Rgw:
    """port: RGW itself (AWS). obs_port: nginx (OBS). hosts: names that are to resolve to both. settings: more of Ceph's."""

    def __init__(self, hosts=(), settings=""):
        support.need(PROGRAMS + ("radosgw-admin", "nginx"), PACKAGES)
        support.name_hosts(hosts)
        self.dir = support.temp_dir("obsabort-rgw-")
        self.conf = os.path.join(self.dir, "ceph.conf")
        mon_v2, mon_v1, self.port, self.obs_port = support.free_ports(4)
        self.processes = []
        fsid = str(uuid.uuid4())
        self._write(
            "ceph.conf",
            CEPH_CONF.format(fsid=fsid, mon_v2=mon_v2, mon_v1=mon_v1, dir=self.dir, domain=DOMAIN) + settings,
        )
        try:
            self._start_mon(fsid, mon_v2, mon_v1)
            self._start_osd()
            self._start_rgw(self.port)
            self._create_user("test", ACCESS_KEY, SECRET_KEY)
            self._create_user("other", OTHER_ACCESS_KEY, OTHER_SECRET_KEY)
            self._start_nginx()
        except BaseException:
            self.stop()
            raise

    def port_of(self, scheme):
        return self.obs_port if scheme == "OBS" else self.port

    def other_client(self, scheme="AWS", virtual_host=False, port=None, keys=(ACCESS_KEY, SECRET_KEY)):
        """A client that is not the library under test."""
        domain = DOMAIN if virtual_host else None
        port = port or self.port_of(scheme)
        return s3client.S3(port, *keys, scheme, domain)

    def library_client(self, scheme="AWS", virtual_host=False, port=None, **settings):
        host, addressing = "127.0.0.1", obsabort.Addressing.PATH
        if virtual_host:
            host, addressing = DOMAIN, obsabort.Addressing.VIRTUAL_HOST
        signature = obsabort.Signature.OBS if scheme == "OBS" else obsabort.Signature.AWS_V2
        settings.setdefault("credentials", (ACCESS_KEY, SECRET_KEY))
        settings.setdefault("timeout", 20)
        return obsabort.Client(
            endpoint=f"http://{host}:{port or self.port_of(scheme)}",
            proxy="",
            addressing=addressing,
            signature=signature,
            **settings,
        )

    def stop(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes = []

    def start_skewed(self, offset="+1h"):
        """Another RGW on the same store whose clock is off. -> its port"""
        support.need(("faketime",), "faketime")
        # Only the environment faketime makes: it would itself be the process that is started,
        # and ending it leaves the server running. The monotonic clock stays true, or Ceph's own
        # timers would go wrong.
        shown = support.run(("faketime", "-f", offset, "env", "-0")).stdout
        env = dict(line.split("=", 1) for line in shown.split("\0") if line)
        env.pop("FAKETIME_SHARED", None)
        env.update(FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
        port = support.free_port()
        self._start_rgw(port, env=env)
        return port

    def start_sts(self):
        """Another RGW on the same store with STS on. -> its port. The first has it off: with STS
        on, RGW answers AccessDenied to every bad key and signature."""
        port = support.free_port()
        self._start_rgw(port, "--rgw_s3_auth_use_sts=true", "--rgw_sts_key=abcdefghijklmnop")
        return port

    def create_role(self, name="sweeper"):
        """A role that the test user may assume, and that may do everything. -> its ARN"""
        trust = policy(Principal={"AWS": ["arn:aws:iam:::user/test"]}, Action=["sts:AssumeRole"])
        rights = policy(Action=["s3:*"], Resource=["arn:aws:s3:::*"])
        made = self._admin(
            "role", "create", f"--role-name={name}", f"--assume-role-policy-doc={trust}"
        )
        self._admin(
            *("role-policy", "put", f"--role-name={name}", "--policy-name=all"),
            f"--policy-doc={rights}",
        )
        return json.loads(made.stdout)["Arn"]

    def buckets_of(self, user):
        return json.loads(self._admin("bucket", "list", f"--uid={user}").stdout)

    def _create_user(self, name, access_key, secret_key):
        self._admin(
            *("user", "create", f"--uid={name}", f"--display-name={name}"),
            *(f"--access-key={access_key}", f"--secret-key={secret_key}"),
        )

    def _start_mon(self, fsid, mon_v2, mon_v1):
        keyring = os.path.join(self.dir, "keyring")
        monmap = os.path.join(self.dir, "monmap")
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.")
        addresses = f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, monmap)
        mon = ("ceph-mon", "-c", self.conf, "-i", "a")
        self._run(*mon, "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._start(mon + ("-f",), mon_v2)

    def _start_osd(self):
        # mkfs must be given the id that the monitors know the OSD by.
        osd_uuid = str(uuid.uuid4())
        number = self._ceph("osd", "new", osd_uuid).stdout.strip()
        osd = ("ceph-osd", "-c", self.conf, "-i", number)
        os.mkdir(os.path.join(self.dir, "osd"))
        self._run(*osd, "--mkfs", "--osd-uuid", osd_uuid)
        self._start(osd + ("-f",), None)

    def _start_rgw(self, port, *options, env=None):
        # Without tcp_nodelay each answer with a body waits 40 ms for the ACK of its head.
        frontend = f"beast endpoint=127.0.0.1:{port} tcp_nodelay=1 max_header_size=65536"
        command = ("radosgw", "-c", self.conf, "-n", "client.rgw", "-f")
        self._start(command + (f"--rgw_frontends={frontend}",) + options, port, env)

    def _start_nginx(self):
        conf = self._write(
            "nginx.conf",
            NGINX_CONF.format(dir=self.dir, port=self.obs_port, rgw=self.port),
        )
        errors = os.path.join(self.dir, "nginx-error.log")
        self._start(("nginx", "-p", self.dir, "-c", conf, "-e", errors), self.obs_port)

    def _start(self, command, port, env=None):
        program = support.find_program(command[0])
        log = os.path.join(self.dir, f"output-{len(self.processes)}.log")
        process = support.Process((program,) + command[1:], log, env=env, cwd=self.dir)
        self.processes.append(process)
        if port:
            process.wait_for_port(port, seconds=60)

    def _run(self, program, *arguments):
        return support.run((support.find_program(program),) + arguments, cwd=self.dir)

    def _ceph(self, *arguments):
        return self._run("ceph", "-c", self.conf, "--connect-timeout", "20", *arguments)

    def _admin(self, *arguments):
        return self._run("radosgw-admin", "-c", self.conf, "-n", "client.rgw", *arguments)

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as file:
            file.write(text)
        return path


def policy(**statement):
    statement["Effect"] = "Allow"
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
