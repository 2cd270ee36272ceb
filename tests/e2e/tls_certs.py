"""Certificates made by the openssl command when the test runs: none to expire in the repository."""

import os
import time

import support

CA_CONF = """
[ca]
default_ca = this
[this]
dir = {directory}
database = {directory}/index-{name}.txt
serial = {directory}/serial-{name}
new_certs_dir = {directory}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
"""

DAY = 86400


def _utc(offset):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + offset))


class Authority:
    """A CA: NAME.pem and NAME.key in `directory`. With an issuer it is an intermediate."""

    def __init__(self, directory, name, issuer=None):
        self.directory, self.name = directory, name
        self.certificate = os.path.join(directory, name + ".pem")
        self.key = os.path.join(directory, name + ".key")
        self.conf = os.path.join(directory, name + ".cnf")
        with open(self.conf, "w") as file:
            file.write(CA_CONF.format(directory=directory, name=name))
        with open(os.path.join(directory, f"index-{name}.txt"), "w"):
            pass
        with open(os.path.join(directory, f"serial-{name}"), "w") as file:
            file.write("1000\n")
        usage = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
        if issuer:
            issuer.issue(name, usage, common_name="Test Intermediate " + name)
        else:
            self.self_signed(directory, name, usage, "Test Root " + name)

    @staticmethod
    def self_signed(directory, name, extensions, common_name):
        path = os.path.join(directory, name)
        with open(path + ".ext.cnf", "w") as file:
            file.write("[req]\ndistinguished_name=dn\n[dn]\n[ext]\n" + extensions)
        support.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-keyout", path + ".key", "-out", path + ".pem", "-days", "30"]
            + ["-subj", "/CN=" + common_name, "-config", path + ".ext.cnf", "-extensions", "ext"]
        )
        return Certificate(path + ".pem", path + ".key")

    def issue(self, name, extensions, common_name="server", begins=-DAY, ends=30 * DAY, rsa=False):
        """NAME.pem and NAME.key, valid from `begins` to `ends` seconds from now."""
        path = os.path.join(self.directory, name)
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        support.run(
            ["openssl", "req", "-new", "-newkey", *kind, "-nodes", "-keyout", path + ".key"]
            + ["-out", path + ".csr", "-subj", "/CN=" + common_name, "-config", self.conf]
        )
        with open(path + ".ext", "w") as file:
            file.write(extensions)
        support.run(
            ["openssl", "ca", "-batch", "-notext", "-config", self.conf, "-cert", self.certificate]
            + ["-keyfile", self.key, "-in", path + ".csr", "-out", path + ".pem"]
            + ["-startdate", _utc(begins), "-enddate", _utc(ends), "-extfile", path + ".ext"]
        )
        return Certificate(path + ".pem", path + ".key")

    def server(self, name, names="DNS:localhost,IP:127.0.0.1", **more):
        usage = "extendedKeyUsage=serverAuth\n"
        return self.issue(name, f"subjectAltName={names}\n{usage}", **more)

    def client(self, name, **more):
        return self.issue(name, "extendedKeyUsage=clientAuth\n", common_name=name, **more)


class Certificate:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key


def chained(directory, name, *paths):
    """One file of several PEM files."""
    path = os.path.join(directory, name + ".pem")
    with open(path, "w") as chain:
        for part in paths:
            with open(part) as file:
                chain.write(file.read())
    return path
