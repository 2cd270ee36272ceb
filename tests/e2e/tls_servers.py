"""The TLS servers of test_tls: nginx in front of the origin, and `openssl s_server`."""

import os
import time

import support

PACKAGES = "nginx-light openssl"

NGINX_CONF = """
daemon off;
master_process off;
error_log {directory}/error.log info;
pid {directory}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    log_format tls '$connection $ssl_protocol $ssl_session_reused '
                   '$ssl_client_verify $status $request_uri';
    access_log {directory}/access.log tls;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_session_cache shared:all:1m;
    ssl_protocols TLSv1.2 TLSv1.3;
    merge_slashes off;
{servers}
}}
"""

NGINX_SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        {more}
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
"""


class Nginx(support.Process):
    """One nginx; servers: name -> (certificate file, key file, more directives)."""

    def __init__(self, origin_port, servers):
        directory = support.temp_dir("obsabort-nginx-")
        self.access_log = os.path.join(directory, "access.log")
        ports = support.free_ports(len(servers))
        self.ports = dict(zip(servers, ports))
        blocks = [
            NGINX_SERVER.format(
                port=self.ports[name],
                certificate=certificate,
                key=key,
                more=more,
                origin=origin_port,
            )
            for name, (certificate, key, more) in servers.items()
        ]
        conf = os.path.join(directory, "nginx.conf")
        with open(conf, "w") as file:
            file.write(NGINX_CONF.format(directory=directory, servers="".join(blocks)))
        super().__init__(
            [support.find_program("nginx"), "-p", directory, "-c", conf]
            + ["-e", os.path.join(directory, "error.log")],
            os.path.join(directory, "output.log"),
        )
        self.wait_for_port(ports[-1])

    def seen(self, key, count):
        """{connection, protocol, reused, verify, status} of each request for `key`; waits until
        there are `count`: nginx logs a request after it has answered."""
        fields = ("connection", "protocol", "reused", "verify", "status", "uri")
        deadline = time.monotonic() + 5
        while True:
            with open(self.access_log) as file:
                rows = [dict(zip(fields, line.split())) for line in file]
            rows = [row for row in rows if f"/{key}?" in row.get("uri", "")]
            if len(rows) >= count or time.monotonic() > deadline:
                return rows
            time.sleep(0.02)


class OpensslServer(support.Process):
    """openssl s_server; `options` choose what it takes."""

    def __init__(self, certificate, *options):
        self.port = support.free_port()
        log = os.path.join(support.temp_dir("obsabort-s_server-"), "output.log")
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-quiet"]
        command += ["-cert", certificate.certificate, "-key", certificate.key, *options]
        super().__init__(command, log)
        self.wait_for_port(self.port)
