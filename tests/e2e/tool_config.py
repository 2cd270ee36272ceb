"""Where obs-abort takes its keys and its endpoint from: options, environment, the files of the AWS tools and of obsutil, a
file of variables. Each place of a test has a pair of keys of its own, so that the server sees which one was used, and that
the secret belongs to it."""

import base64
import configparser
import os
import random
import stat
import subprocess
import time
import unittest

import support
from proxy_origin import Origin
from servers import Server
from tool_servers import Listener
from tool_terminal import ON_WINDOWS, environment, run, tool_path

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "../../tools/obs-abort")
BOM = "\ufeff"
ABORT = ("obs://bucket/key", "ID")

# Access key -> secret, and the token that must come with it.
KEYS = {name: f"secret/of+{name}" for name in ("OPTION", "FILE", "OBS", "SDK", "AWS", "PROFILE", "OTHER", "OBSUTIL",
                                               "DEFAULT", "CONFIG")}
KEYS["HASH"] = "secret#of;HASH"
KEYS["TEMPORARY"] = ("secret/of+TEMPORARY", "token/of+TEMPORARY")
SECRETS = [*(secret for secret in KEYS.values() if isinstance(secret, str)), *KEYS["TEMPORARY"]]

OBS = {"OBS_ACCESS_KEY_ID": "OBS", "OBS_SECRET_ACCESS_KEY": KEYS["OBS"]}
SDK = {"HUAWEICLOUD_SDK_AK": "SDK", "HUAWEICLOUD_SDK_SK": KEYS["SDK"]}
AWS = {"AWS_ACCESS_KEY_ID": "AWS", "AWS_SECRET_ACCESS_KEY": KEYS["AWS"]}


def profile(name, section="default", form="aws_access_key_id = {}\naws_secret_access_key = {}\n"):
    return f"[{section}]\n" + form.format(name, KEYS[name])


def obsutil(name=None, endpoint=""):
    pair = (name, KEYS[name]) if name else ("*** Provide your Access Key ***", "*** Provide your Secret Key ***")
    return f"endpoint={endpoint}\nak={pair[0]}\nsk={pair[1]}\ntoken=\nconnectTimeout=30\nproxyUrl=\n"


def encrypted(text):
    """As obsutil leaves it: whole blocks of 16 bytes, in base64. What they hold does not matter here."""
    return base64.b64encode(os.urandom(len(text) // 16 * 16 + 16)).decode()


@unittest.skipIf(ON_WINDOWS, "the home directory is the one of Wine")
class WithHome(unittest.TestCase):
    """A home directory of its own, a server that knows all KEYS, and an environment that names neither."""

    def setUp(self):
        self.origin = Origin(keys=KEYS)
        self.addCleanup(self.origin.close)
        self.home = support.temp_dir()
        self.env = environment(HOME=self.home)
        self.credentials = self.path(".aws/credentials")
        self.config = self.path(".aws/config")
        self.obsutilconfig = self.path(".obsutilconfig")

    def path(self, name):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, path, text, mode=0o600):
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def tool(self, *options, **variables):
        done = run(*options, *ABORT, env=dict(self.env, **variables))
        for secret in SECRETS:
            self.assertNotIn(secret, done.stdout + done.stderr)
        return done

    def uses(self, name, *options, endpoint=True, says="", **variables):
        """The keys of this name, whole, and nothing is said but `says`."""
        if endpoint:
            variables["OBS_ENDPOINT"] = self.origin.url
        done = self.tool(*options, **variables)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([seen.access_key for seen in self.origin.take()], [name])
        if says:
            self.assertIn(says, done.stderr)
        else:
            self.assertEqual(done.stderr, "")
        return done

    def fails(self, *options, says, endpoint=True, status=3, **variables):
        if endpoint:
            variables["OBS_ENDPOINT"] = self.origin.url
        done = self.tool(*options, **variables)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertEqual(self.origin.take(), [])
        return done


class Precedence(WithHome):
    """The first place that has keys is used, and nothing of the others."""

    def test_each_place_before_the_next(self):
        self.write(self.credentials, profile("DEFAULT") + profile("PROFILE", "chosen") + profile("OTHER", "named"))
        self.write(self.obsutilconfig, obsutil("OBSUTIL"))
        variables = self.write(self.path("variables"), f"OBS_ACCESS_KEY_ID=FILE\nOBS_SECRET_ACCESS_KEY={KEYS['FILE']}\n")
        everything = {**OBS, **SDK, **AWS, "AWS_PROFILE": "chosen"}
        self.uses("FILE", "--credentials", f"file:{variables}", **everything)
        self.uses("OTHER", "--profile", "named", **everything)
        self.uses("OBSUTIL", "--credentials", "obsutil", **everything)
        for name, gone in (("OBS", OBS), ("SDK", SDK), ("AWS", AWS), ("PROFILE", {"AWS_PROFILE"})):
            self.uses(name, **everything)
            for variable in gone:
                everything[variable] = ""  # as if it were not set
        self.uses("OBSUTIL", **everything)
        os.remove(self.obsutilconfig)
        self.uses("DEFAULT", **everything)
        os.remove(self.credentials)
        done = self.fails(says="no_credentials: none of OBS_ACCESS_KEY_ID, HUAWEICLOUD_SDK_AK, AWS_ACCESS_KEY_ID and "
                               "AWS_PROFILE is set")
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_env_is_the_environment_alone(self):
        self.write(self.credentials, profile("DEFAULT"))
        self.write(self.obsutilconfig, obsutil("OBSUTIL"))
        self.fails("--credentials", "env", says="AWS_ACCESS_KEY_ID is set in the environment", AWS_PROFILE="default")
        for name, family in (("OBS", OBS), ("SDK", SDK), ("AWS", AWS)):
            for source in ("env", "chain"):
                self.uses(name, "--credentials", source, **family)

    def test_the_agency_of_a_cloud_server(self):
        """Only if that is asked for: the search is not to wait for a service that most machines do not have. Here is no
        network, and so no agency."""
        without_network = support.without_network()
        self.write(self.credentials, profile("DEFAULT"))
        env = dict(self.env, OBS_ENDPOINT=self.origin.url)
        for source in ("ecs", "chain"):
            done = support.run([*without_network, tool_path(), "-v", "--credentials", source, *ABORT], env=env, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("keys: the agency of this cloud server\n", done.stderr)
            self.assertRegex(done.stderr, "no_credentials: .*169\\.254\\.169\\.254")
        self.uses("OBS", "--credentials", "chain", **OBS)

    def test_what_comes_later_is_not_looked_at(self):
        for path in (self.credentials, self.config, self.obsutilconfig):
            os.mkdir(path)
        self.uses("OBS", **OBS)

    def test_a_place_named_twice(self):
        for source in ("env", "obsutil", "chain", "file:x"):
            self.fails("--profile", "x", "--credentials", source, status=2, says="--profile and --credentials exclude")

    def test_verbose_names_the_place(self):
        path = self.write(self.credentials, profile("PROFILE", "chosen"))
        self.uses("OBS", "-v", says="keys: OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY in the environment\n", **OBS)
        self.uses("PROFILE", "-v", "--profile", "chosen", says=f"keys: the profile chosen of {path}\n")
        done = self.uses("PROFILE", "-vvv", "--profile", "chosen", says=f"endpoint: {self.origin.url} (OBS_ENDPOINT)\n")
        self.assertNotIn("keys: ", self.uses("OBS", **OBS).stderr + done.stdout)
        self.uses("OBSUTIL", "-v", says=f"keys: {self.write(self.obsutilconfig, obsutil('OBSUTIL'))}\n")

    def test_the_token_comes_along(self):
        access_key, (secret, token) = "TEMPORARY", KEYS["TEMPORARY"]
        for names in (("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"),
                      ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
                      ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")):
            self.uses("TEMPORARY", **dict(zip(names, (access_key, secret, token))))
        self.write(self.obsutilconfig, f"ak={access_key}\nsk={secret}\ntoken={token}\n")
        self.uses("TEMPORARY")
        self.write(self.credentials, f"[a]\naws_access_key_id={access_key}\naws_secret_access_key={secret}\n"
                                     f"aws_session_token={token}\n")
        self.uses("TEMPORARY", "--profile", "a")

    def test_no_token_of_another_place(self):
        self.write(self.obsutilconfig, obsutil("OBSUTIL"))
        for name, mine, other in (("OBS", OBS, "AWS_SESSION_TOKEN"), ("AWS", AWS, "HUAWEICLOUD_SDK_X")):
            done = run("obs://bucket/key", "ID", env=dict(self.env, OBS_ENDPOINT=self.origin.url, **mine, **{other: "T"}))
            self.assertEqual(done.returncode, 0, done.stderr)
            (seen,) = self.origin.take()
            self.assertEqual((seen.access_key, [name for name in seen.headers if "token" in name]), (name, []))


class Halves(WithHome):
    """Half a pair is an error that names the place. Another place, which has the rest or a whole pair, does not help."""

    def test_in_the_environment(self):
        self.write(self.credentials, profile("DEFAULT"))
        for family, rest in ((OBS, SDK), (SDK, AWS), (AWS, {})):
            access_key, secret_key = family
            for there, missing in ((access_key, secret_key), (secret_key, access_key)):
                for options in ((), ("--credentials", "env"), ("--credentials", "chain")):
                    with self.subTest(there):
                        self.fails(*options, says=f"no_credentials: the environment: {missing} is missing, and {there} "
                                                  "is there", **{there: family[there]}, **rest)

    def test_a_token_alone(self):
        for names in (("OBS_SECURITY_TOKEN", "OBS_ACCESS_KEY_ID"), ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")):
            self.fails(says=f"{names[0]} is there, and neither {names[1]} nor", **{names[0]: "token"})

    def test_in_a_profile(self):
        """The file of credentials has half of it, and the other file the rest, or all."""
        self.write(self.config, profile("CONFIG"))
        for there, missing in (("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")):
            self.write(self.credentials, f"[default]\naws_{there} = X\n")
            for options in ((), ("--profile", "default")):
                self.fails(*options, says=f"the profile default of {self.credentials}: aws_{missing} is missing, and "
                                          f"aws_{there} is there")

    def test_in_the_file_of_obsutil(self):
        self.write(self.credentials, profile("DEFAULT"))
        self.write(self.obsutilconfig, "ak=OBSUTIL\nsk=\n")
        self.fails(says=f"{self.obsutilconfig}: sk is missing, and ak is there")
        self.write(self.obsutilconfig, f"ak=*** Provide your Access Key ***\nsk={KEYS['OBSUTIL']}\n")
        self.fails(says=f"{self.obsutilconfig}: ak is missing, and sk is there")

    def test_in_a_file_of_variables(self):
        path = self.write(self.path("variables"), f"OBS_SECRET_ACCESS_KEY={KEYS['FILE']}\n")
        self.fails("--credentials", f"file:{path}", says=f"{path}: no line OBS_ACCESS_KEY_ID=...", **OBS)

    def test_a_character_that_no_key_has(self):
        for secret in (KEYS["AWS"] + "\n", KEYS["AWS"] + " ", "\u00a0" + KEYS["AWS"]):
            self.fails(says="the environment: AWS_SECRET_ACCESS_KEY has white space or another character",
                       AWS_ACCESS_KEY_ID="AWS", AWS_SECRET_ACCESS_KEY=secret)
        self.write(self.credentials, f"[default]\naws_access_key_id=A\naws_secret_access_key=a b\n")
        self.fails(says=f"the profile default of {self.credentials}: aws_secret_access_key has white space")


class AwsFiles(WithHome):
    def taken(self, text, name="PROFILE", options=("--profile", "x")):
        with self.subTest(text):
            self.write(self.credentials, text)
            self.uses(name, *options)

    def refused(self, text, says, options=("--profile", "x")):
        with self.subTest(text):
            self.write(self.credentials, text)
            return self.fails(*options, says=says)

    def test_forms(self):
        plain = profile("PROFILE", "x")
        other = profile("OTHER", "other")
        for text in (plain, plain.rstrip("\n"), BOM + plain, plain.replace("\n", "\r\n"), plain.replace(" = ", "="),
                     plain.replace(" = ", "\t=  "), plain.replace("\naws", "\n   aws"), plain.replace("\n", " \t\n"),
                     plain.replace("[x]", "[ x ]"), plain.replace("[x]", "[x] # of the test"),
                     plain.replace("aws_", "AWS_"), plain.replace("\n", " # of the test\n"),
                     plain.replace("\n", " ; of the test\n"), "# a\n; b\n\n" + plain.replace("\n", "\n# c\n; d\n\n"),
                     other + plain, plain + other, other + "\n" + plain + "\n" + profile("DEFAULT"),
                     plain.replace("]\n", "]\nregion = nowhere\ns3 =\n  aws_access_key_id = NESTED\n"),
                     plain.replace("]\n", "]\noutput = json\n  that goes on\n"),
                     plain + "[x]\nregion = nowhere\n", "[x]\noutput = json\n" + plain,
                     other + plain.replace("\naws", "\n  aws")):
            self.taken(text)
        self.taken(profile("HASH", "x"), name="HASH")
        self.taken(profile("HASH", "x").replace("HASH\n", "HASH #c\n"), name="HASH")

    def test_sections_of_the_file_of_credentials(self):
        self.refused(profile("PROFILE", "profile x"), says=["no profile x: neither [x] in", "nor [profile x] in"])
        self.refused(profile("PROFILE", "X"), says="no profile x")
        self.refused(profile("PROFILE", "x y"), says="no profile x")
        self.refused("", says="no profile x")
        self.refused("[x]\n", says="the profile x has no aws_access_key_id")

    def test_sections_of_the_file_of_configuration(self):
        for section in ("profile x", "profile  x", 'profile "x"', "profile\tx", " profile x "):
            with self.subTest(section):
                self.write(self.config, profile("CONFIG", section))
                self.uses("CONFIG", "--profile", "x")
        for section in ("x", "profilex", "profile x y", "services x"):
            with self.subTest(section):
                self.write(self.config, profile("CONFIG", section))
                self.fails("--profile", "x", says="no profile x")
        for section in ("default", "profile default"):
            self.write(self.config, profile("CONFIG", section))
            self.uses("CONFIG")

    def test_keys_that_are_there_twice(self):
        """The later of two sections may have been begun, and its secret forgotten."""
        pair = profile("PROFILE", "x")
        self.refused(pair + "[x]\naws_access_key_id = LATER\n", says="aws_access_key_id is there twice, in the lines 2 and 5")
        self.refused(pair + "aws_secret_access_key = again\n", says="aws_secret_access_key is there twice, in the lines 3 and 4")
        self.refused(pair + profile("OTHER", "x"), says="aws_access_key_id is there twice")
        self.refused(f"[x]\naws_access_key_id = PROFILE\n[y]\n[x]\naws_secret_access_key = {KEYS['PROFILE']}\n",
                     says="its keys are in two sections, those of the lines 1 and 4")

    def test_what_is_not_well_formed(self):
        pair = profile("PROFILE", "x")
        for line, number in (("garbage", 4), ("= value", 4), ("[open", 4), ("[y] more", 4)):
            self.refused(pair + line + "\n", says=f"{self.credentials}, line {number}: neither [SECTION] nor")
        self.refused("aws_access_key_id = AK\n" + pair, says=f"{self.credentials}, line 1: neither [SECTION] nor")
        self.write(self.config, "garbage\n")
        self.refused(pair, says=f"{self.config}, line 1: neither")

    def test_bytes_that_are_no_text(self):
        pair = profile("PROFILE", "x").encode()
        for text, says in ((pair.replace(b"PROFILE\n", b"PROFILE\0X\n"), "line 2: a NUL byte"),
                           (pair + b"\0", "line 4: a NUL byte"),
                           ((BOM + pair.decode()).encode("utf-16-le"), "line 1: UTF-16 text; save it as UTF-8"),
                           (pair.decode().encode("utf-16-le"), "line 1: a NUL byte (UTF-16 text?")):
            with self.subTest(text):
                self.write(self.credentials, text)
                self.fails("--profile", "x", says=f"{self.credentials}, {says}")

    def test_what_is_no_file_of_settings(self):
        self.write(self.credentials, b"#" * (1024 * 1024) + b"\n" + profile("PROFILE", "x").encode())
        self.fails("--profile", "x", says=f"{self.credentials}: larger than 1 MiB")
        self.fails("--profile", "x", says="/dev/zero: larger than 1 MiB", AWS_SHARED_CREDENTIALS_FILE="/dev/zero")
        os.remove(self.credentials)
        os.mkdir(self.credentials)
        self.fails("--profile", "x", says=f"{self.credentials}: Is a directory")
        self.fails(says=f"{self.credentials}: Is a directory")

    def test_the_largest_that_is_read(self):
        pair = profile("PROFILE", "x").encode()
        self.write(self.credentials, b"#" * (1024 * 1024 - len(pair) - 1) + b"\n" + pair)
        self.uses("PROFILE", "--profile", "x")

    def test_a_file_that_can_not_be_read(self):
        """Another identity is not a way out: the user has keys there."""
        loop = self.path("loop")
        os.symlink(loop, loop)
        self.fails("--profile", "x", says=f"{loop}: Too many levels", AWS_SHARED_CREDENTIALS_FILE=loop)
        support.need(("setpriv",), "util-linux")
        # Root may read everything but for this.
        as_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
        self.write(self.config, profile("CONFIG", "profile x"))
        self.write(self.credentials, profile("PROFILE", "x"), mode=0)
        for options in (("--profile", "x"), ()):
            env = dict(self.env, OBS_ENDPOINT=self.origin.url)
            done = support.run([*as_user, tool_path(), *options, *ABORT], env=env, check=False)
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertEqual(done.stderr, f"obs-abort: {self.credentials}: Permission denied\n")

    def test_files_named_by_variables(self):
        self.write(self.credentials, profile("DEFAULT"))
        self.write(self.config, "[default]\nendpoint_url = http://127.0.0.1:1\n")
        elsewhere = {"AWS_SHARED_CREDENTIALS_FILE": self.write(self.path("c"), profile("OTHER")),
                     "AWS_CONFIG_FILE": self.write(self.path("d"), f"[default]\nendpoint_url = {self.origin.url}\n")}
        self.uses("OTHER", endpoint=False, **elsewhere)
        self.uses("OTHER", AWS_SHARED_CREDENTIALS_FILE="~/c")
        missing = self.path("missing")
        self.fails("--profile", "x", says=f"neither [x] in {missing}", AWS_SHARED_CREDENTIALS_FILE=missing)

    def test_no_files_at_all(self):
        """Nothing that is there must be a file: no home directory, a file in its place, /dev/null."""
        for variables in ({"HOME": self.path("missing/home")}, {"HOME": self.write(self.path("file"), "")},
                          {"AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONFIG_FILE": "/dev/null"}):
            self.fails(says="no_credentials: none of", **variables)
            self.fails("--profile", "x", says="no profile x", **variables)

    def test_profiles_without_keys_of_their_own(self):
        for means in ("role_arn", "credential_process", "sso_session"):
            self.write(self.config, f"[profile x]\n{means} = something\n")
            self.fails("--profile", "x", says=f"the profile x has no aws_access_key_id, neither in {self.credentials} nor "
                                              f"in {self.config}; it has {means}, which obs-abort can't use")

    def test_a_chosen_profile_that_is_missing(self):
        self.write(self.credentials, profile("DEFAULT"))
        self.fails(says="no profile gone", AWS_PROFILE="gone")

    def test_without_a_home_directory(self):
        """HOME is not all: systemd starts services of root without it."""
        self.fails("--profile", "no-such-profile-anywhere", says="no profile no-such-profile-anywhere", HOME="")


class ObsutilFile(WithHome):
    def test_plain_keys(self):
        plain = obsutil("OBSUTIL")
        for text in (plain, plain.rstrip("\n"), BOM + plain, plain.replace("\n", "\r\n"), plain.replace("=", " = "),
                     plain.replace("\n", "\n# a comment\n\n"), "ak=EARLIER\n" + plain, "  " + plain.replace("\n", "\n  ")):
            with self.subTest(text):
                self.write(self.obsutilconfig, text)
                self.uses("OBSUTIL")
                self.uses("OBSUTIL", "--credentials", "obsutil")

    def test_keys_as_long_as_real_ones_are_plain(self):
        """20 and 40 characters of base64, which are no whole blocks."""
        for access_key, secret in (("A1B2C3D4E5F6G7H8I9J0", "a" * 40), ("A1B2C3D4E5F6G7H8I9J0", "aB3/" * 10)):
            KEYS[access_key] = secret
            self.addCleanup(KEYS.pop, access_key, None)
            self.write(self.obsutilconfig, f"ak={access_key}\nsk={secret}\n")
            self.uses(access_key)

    def test_encrypted_keys(self):
        """One clear line, its endpoint is used, and keys of another place."""
        text = f"endpoint={self.origin.url}\nak={encrypted('A' * 20)}\nsk={encrypted('S' * 40)}\n"
        self.write(self.obsutilconfig, text)
        says = f"obs-abort: the keys in {self.obsutilconfig} are encrypted by obsutil and can't be used, only its endpoint can\n"
        self.uses("OBS", endpoint=False, **OBS)
        done = self.fails(endpoint=False, says="there are no plain keys in ~/.obsutilconfig or in the profile default")
        self.assertTrue(done.stderr.startswith(says), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 2)
        self.write(self.credentials, profile("DEFAULT"))
        self.assertEqual(self.uses("DEFAULT", endpoint=False, says=says).stderr, says)
        self.uses("DEFAULT", "--quiet", endpoint=False)
        self.fails("--credentials", "obsutil", says=f"{self.obsutilconfig}: its keys are encrypted by obsutil")
        self.assertNotIn(text.split("sk=")[1].strip(), done.stderr)

    def test_the_token_of_encrypted_keys(self):
        """It is plain, and not the token of other keys."""
        self.write(self.obsutilconfig, f"ak={encrypted('A' * 20)}\nsk={encrypted('S' * 40)}\ntoken=token\n")
        self.write(self.credentials, profile("DEFAULT"))
        done = self.tool("--quiet", OBS_ENDPOINT=self.origin.url)
        self.assertEqual(done.returncode, 0, done.stderr)
        (seen,) = self.origin.take()
        self.assertEqual((seen.access_key, [name for name in seen.headers if "token" in name]), ("DEFAULT", []))

    def test_one_of_them_encrypted(self):
        for ak, sk in (("OBSUTIL", encrypted("S" * 40)), (encrypted("A" * 20), KEYS["OBSUTIL"])):
            self.write(self.obsutilconfig, f"ak={ak}\nsk={sk}\n")
            self.fails("--credentials", "obsutil", says="its keys are encrypted by obsutil")

    def test_never_filled_in(self):
        self.write(self.obsutilconfig, obsutil(endpoint="http://your-endpoint"))
        self.fails("--credentials", "obsutil", says=f"{self.obsutilconfig}: there are no keys in it")
        self.fails(endpoint=False, says="no endpoint", **OBS)
        self.write(self.credentials, profile("DEFAULT"))
        self.uses("DEFAULT")

    def test_what_is_not_well_formed(self):
        self.write(self.credentials, profile("DEFAULT"))
        self.write(self.obsutilconfig, obsutil("OBSUTIL") + "garbage\n")
        for options, variables in (((), {}), (("--credentials", "obsutil"), {})):
            self.fails(*options, says=f"{self.obsutilconfig}, line 7: not NAME=VALUE", **variables)
        self.fails(endpoint=False, says=f"{self.obsutilconfig}, line 7: not NAME=VALUE", **OBS)
        self.write(self.obsutilconfig, "ak=OBSUTIL\0\n")
        self.fails(says="line 1: a NUL byte")

    def test_a_missing_one(self):
        self.fails("--credentials", "obsutil", says=f"{self.obsutilconfig}: there are no keys in it")


class Endpoint(WithHome):
    """Which endpoint goes with which keys. All others lead to a port where nobody listens."""

    def setUp(self):
        super().setUp()
        self.wrong = f"http://127.0.0.1:{support.free_port()}"

    def test_order_with_keys_of_obs(self):
        right = self.origin.url
        self.write(self.obsutilconfig, obsutil("OBSUTIL", self.wrong))
        self.uses("OBS", "--endpoint", right, endpoint=False, OBS_ENDPOINT=self.wrong, **OBS)
        self.uses("OBS", endpoint=False, OBS_ENDPOINT=right, AWS_ENDPOINT_URL=self.wrong, **OBS)
        self.write(self.obsutilconfig, obsutil("OBSUTIL", right))
        self.uses("OBS", endpoint=False, AWS_ENDPOINT_URL=self.wrong, **OBS)

    def test_a_file_of_variables_brings_its_own(self):
        """It was named on the command line, so that a variable that is left over does not send its keys elsewhere."""
        pair = f"OBS_ACCESS_KEY_ID=FILE\nOBS_SECRET_ACCESS_KEY={KEYS['FILE']}\n"
        for line in ("OBS_ENDPOINT={}\n", "export OBS_ENDPOINT='{}'\n", 'OBS_ENDPOINT = "{}" # of the test\n'):
            path = self.write(self.path("variables"), pair + line.format(self.origin.url))
            self.uses("FILE", "--credentials", f"file:{path}", endpoint=False, OBS_ENDPOINT=self.wrong)
            path = self.write(self.path("variables"), pair + line.format(self.wrong))
            self.uses("FILE", "--credentials", f"file:{path}", "--endpoint", self.origin.url, endpoint=False)

    def test_a_file_of_variables_may_be_a_pipe(self):
        """Of a program that keeps secrets: there is no file for others to read."""
        text = f"OBS_ACCESS_KEY_ID=FILE\nOBS_SECRET_ACCESS_KEY={KEYS['FILE']}\nOBS_ENDPOINT={self.origin.url}\n"
        done = run("--credentials", "file:/dev/stdin", *ABORT, env=self.env, stdin=text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([seen.access_key for seen in self.origin.take()], ["FILE"])
        self.fails("--credentials", "file:/dev/zero", says="/dev/zero: larger than 1 MiB")

    def test_of_a_profile(self):
        right, wrong = self.origin.url, self.wrong
        self.write(self.credentials, profile("PROFILE", "x"))
        plain = f"[profile x]\nendpoint_url = {{}}\n[default]\nendpoint_url = {wrong}\n[x]\nendpoint_url = {wrong}\n"
        nested = (f"[profile x]\nservices = mine\nendpoint_url = {wrong}\n[services mine]\ndynamodb =\n"
                  f"  endpoint_url = {wrong}\ns3 =\n  endpoint_url = {{}}\n  other = 1\n")
        for text in (plain, nested):
            self.write(self.config, text.format(right))
            self.uses("PROFILE", "--profile", "x", endpoint=False, OBS_ENDPOINT=wrong)
            self.uses("PROFILE", endpoint=False, AWS_PROFILE="x")
            self.write(self.config, text.format(wrong))
            self.uses("PROFILE", endpoint=False, AWS_PROFILE="x", OBS_ENDPOINT=right)
            self.uses("PROFILE", endpoint=False, AWS_PROFILE="x", AWS_ENDPOINT_URL_S3=right, AWS_ENDPOINT_URL=wrong)
            self.uses("PROFILE", endpoint=False, AWS_PROFILE="x", AWS_ENDPOINT_URL=right)
        os.remove(self.config)
        self.write(self.obsutilconfig, obsutil(endpoint=right))
        self.uses("PROFILE", "--profile", "x", endpoint=False)

    def test_no_other_profile_lends_its_own(self):
        self.write(self.credentials, profile("PROFILE", "x"))
        self.write(self.config, f"[default]\nendpoint_url = {self.origin.url}\n")
        self.fails("--profile", "x", endpoint=False, says="no endpoint")
        self.uses("AWS", endpoint=False, **AWS)

    def test_of_obsutil(self):
        self.write(self.obsutilconfig, obsutil("OBSUTIL", self.origin.url))
        self.uses("OBSUTIL", endpoint=False)
        self.uses("OBSUTIL", "--credentials", "obsutil", endpoint=False, OBS_ENDPOINT=self.wrong)

    def test_keys_of_obsutil_without_one(self):
        self.write(self.obsutilconfig, obsutil("OBSUTIL"))
        for variables in ({}, OBS):
            self.fails(endpoint=False, says="no endpoint: give --endpoint URL or --region NAME, or set OBS_ENDPOINT",
                       **variables)

    def test_a_password_in_it_is_not_shown(self):
        done = self.fails("-v", "--endpoint", "http://user:" + KEYS["OTHER"] + "@host", says="endpoint: not shown (--endpoint)",
                          **OBS)
        self.assertIn("endpoint", done.stderr)


REGIONS = [
    ("eu-101", "https://obs.eu-101.myhuaweicloud.com"),
    ("cn-north-4", "https://obs.cn-north-4.myhuaweicloud.com"),
    ("ap-southeast-1", "https://obs.ap-southeast-1.myhuaweicloud.com"),
    ("la-north-2", "https://obs.la-north-2.myhuaweicloud.com"),
    ("tr-west-1", "https://obs.tr-west-1.myhuaweicloud.com"),
    ("eu-west-101", "https://obs.eu-west-101.myhuaweicloud.eu"),
    ("eu-west-1", "https://obs.eu-west-1.myhuaweicloud.com"),
    ("eu-de", "https://obs.eu-de.otc.t-systems.com"),
    ("tr-central-201", "https://obs.tr-central-201.hc.vodafone.com.tr"),
    ("ru-moscow-1", "https://obs.ru-moscow-1.hc.sbercloud.ru"),
]


class Region(WithHome):
    """The requests go to a proxy that notes where they want to, and hangs up: no name is looked up."""

    def setUp(self):
        super().setUp()
        self.wanted = []
        proxy = Server(lambda connection, _: self.wanted.append(connection.recv(4096).split(b"\r\n")[0].decode()))
        self.addCleanup(proxy.close)
        self.through_proxy = ("--proxy", f"http://127.0.0.1:{proxy.port}", "--max-attempts", "1")

    def asks_for(self, endpoint, *options, made_of, **variables):
        with self.subTest(endpoint):
            self.wanted.clear()
            done = self.tool("-v", *options, *self.through_proxy, **variables)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn(f"endpoint: {endpoint} ({made_of})\n", done.stderr)
            self.assertEqual(self.wanted, [f"CONNECT bucket.{endpoint.removeprefix('https://')}:443 HTTP/1.1"])

    def test_what_is_made_of_it(self):
        for region, endpoint in REGIONS:
            self.asks_for(endpoint, "--region", region, made_of=f"made of the region {region}: --region",
                          OBS_ENDPOINT="http://127.0.0.1:1", **OBS)

    def test_with_the_keys(self):
        path = self.write(self.credentials, profile("PROFILE", "x") + "region = eu-west-101\n")
        endpoint = "https://obs.eu-west-101.myhuaweicloud.eu"
        made_of = f"made of the region eu-west-101: the profile x of {path}"
        self.asks_for(endpoint, "--profile", "x", made_of=made_of, AWS_REGION="cn-north-1")
        self.asks_for(endpoint, made_of=made_of, AWS_PROFILE="x")
        made_of = "made of the region eu-west-101: the environment"
        self.asks_for(endpoint, made_of=made_of, AWS_REGION="eu-west-101", AWS_DEFAULT_REGION="cn-north-1", **AWS)
        self.asks_for(endpoint, made_of=made_of, AWS_DEFAULT_REGION="eu-west-101", **AWS)
        self.uses("AWS", AWS_REGION="eu-west-101", **AWS)
        self.write(self.config, "[default]\nregion = eu-west-101\n")
        self.asks_for(endpoint, made_of="made of the region eu-west-101: the profile default", **AWS)
        os.remove(self.config)
        self.fails(endpoint=False, says="no endpoint", AWS_REGION="not a region", **AWS)
        self.fails(endpoint=False, says="no endpoint", AWS_REGION="eu-west-101", **OBS)

    def test_no_names_of_regions(self):
        for region in ("eu", "dublin", "EU-101", "eu-101.evil.example", "eu-101/x", "a@b-1", "-eu-1", "eu-1-", "https://obs.eu-101",
                       "eu 101", "x-" + "1" * 70, "eu-101:80", "eu-101\n"):
            with self.subTest(region):
                self.fails("--region", region, status=2, says="--region: a name like eu-101", **OBS)
        self.fails("--region", "", status=2, says="--region: the value is empty", **OBS)

    def test_beside_an_endpoint(self):
        for end in ("", "/", ":443", ":443/"):
            for scheme in ("https://", ""):
                endpoint = f"{scheme}obs.eu-101.myhuaweicloud.com{end}"
                done = self.tool("-v", "--region", "eu-101", "--endpoint", endpoint, *self.through_proxy, **OBS)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(f"endpoint: {endpoint} (--endpoint)\n", done.stderr)
        self.assertEqual(set(self.wanted), {"CONNECT bucket.obs.eu-101.myhuaweicloud.com:443 HTTP/1.1"})
        for endpoint in ("https://obs.eu-102.myhuaweicloud.com", "http://obs.eu-101.myhuaweicloud.com",
                         "https://obs.eu-101.myhuaweicloud.com.evil.example", "https://obs.eu-101.myhuaweicloud.com:8443",
                         self.origin.url):
            with self.subTest(endpoint):
                self.fails("--region", "eu-101", "--endpoint", endpoint, status=2,
                           says="--endpoint and --region name different services", **OBS)


class OpenFiles(WithHome):
    """Files with secrets that others can read."""

    def test_are_told(self):
        self.write(self.credentials, profile("PROFILE", "x"))
        self.write(self.obsutilconfig, obsutil("OBSUTIL"))
        variables = self.write(self.path("variables"), f"OBS_ACCESS_KEY_ID=FILE\nOBS_SECRET_ACCESS_KEY={KEYS['FILE']}\n")
        for name, path, place, options in (
            ("PROFILE", self.credentials, f"the profile x of {self.credentials}", ("--profile", "x")),
            ("OBSUTIL", self.obsutilconfig, self.obsutilconfig, ()),
            ("FILE", variables, variables, ("--credentials", f"file:{variables}")),
        ):
            says = f"obs-abort: warning: other users of this machine can read the keys in {place}; chmod 600 prevents it\n"
            for mode in (0o640, 0o604, 0o644, 0o660):
                with self.subTest(path=path, mode=oct(mode)):
                    os.chmod(path, mode)
                    self.assertEqual(self.uses(name, *options, says=says).stderr, says)
                    self.uses(name, "--quiet", *options)
            for mode in (0o600, 0o400, 0o700, 0o620):
                os.chmod(path, mode)
                self.uses(name, *options)

    def test_only_if_their_keys_are_used(self):
        self.write(self.credentials, profile("DEFAULT"), mode=0o644)
        self.write(self.config, "[default]\nregion = eu-101\n", mode=0o644)
        self.write(self.obsutilconfig, obsutil(endpoint=self.origin.url), mode=0o644)
        self.uses("OBS", endpoint=False, **OBS)
        os.chmod(self.credentials, stat.S_IRUSR)
        self.uses("DEFAULT")


@unittest.skipIf(ON_WINDOWS, "built for this system, with its sanitizers")
class Readers(unittest.TestCase):
    """The readers of the files by themselves, with address and undefined-behaviour sanitizer."""

    @classmethod
    def setUpClass(cls):
        support.need(("cc",), "gcc")
        cls.program = os.path.join(support.temp_dir(), "credentials_host")
        sanitize = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        names = [os.path.join(SOURCES, name) for name in ("credentials.c", "endpoint.c", "ini.c", "profile.c", "source.c")]
        support.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", *sanitize, "-I", os.environ["INCLUDEDIR"], "-I", SOURCES,
                     os.path.join(HERE, "credentials_host.c"), *names, "-o", cls.program])

    def ask(self, files):
        lines = "".join(f"{kind}{content.hex()}\n" for kind, content in files)
        done = subprocess.run([self.program], input=lines.encode(), capture_output=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        answers = done.stdout.split(b"\n")[:-1]
        self.assertEqual(len(answers), len(files))
        return [answer if answer.startswith(b"!") else [bytes.fromhex(part.decode()) for part in answer.split(b" ")[:-1]]
                for answer in answers]

    def test_files_that_are_damaged(self):
        """Whatever is cut, doubled, swapped or overwritten: no secret is used of which a byte is not in the file."""
        seeds = [("v", b"export OBS_ACCESS_KEY_ID='AK'\nOBS_SECRET_ACCESS_KEY=\"s/k+\" # c\nOBS_ENDPOINT=http://h\n"),
                 ("o", b"endpoint=http://h\nak=AK\nsk=s/k+\ntoken=\n# c\nproxyUrl=\n"),
                 ("p", b"\xef\xbb\xbf[y]\naws_access_key_id = B\n[x] ; c\r\naws_access_key_id = AK\r\n"
                       b"aws_secret_access_key=s/k+\ns3 =\n  endpoint_url = u\nregion=eu-101\n"),
                 ("c", b'[profile "x"]\naws_access_key_id=AK\n aws_secret_access_key = s/k+ #c\nservices=s\n'
                       b"aws_secret_access_key=s/k+\n[services s]\ns3=\n endpoint_url=http://h\n")]
        random_ = random.Random(1)
        files = []
        for _ in range(2000):
            kind, content = random_.choice(seeds)
            content = bytearray(content)
            for _ in range(random_.randint(1, 4)):
                at, end = sorted(random_.choices(range(len(content) + 1), k=2))
                content[at:end] = random_.choice((b"", content[at:end] * 2, content[at:end][::-1], b"[", b"]", b"=", b"\n",
                                                  b"'", b'"', b"#", b" ", b"\r", b"\0", b"\xff\xfe", b"\n[x]\n"))
            files.append((kind, bytes(content)))
        answers = self.ask(files)
        found = [(content, answer) for (_, content), answer in zip(files, answers) if isinstance(answer, list)]
        self.assertGreater(len(found), 50)
        self.assertGreater(len(answers) - len(found), 50)
        for content, (access_key, secret_key, *_) in found:
            self.assertTrue(access_key in content and secret_key in content and access_key and secret_key)

    def test_as_configparser_of_python(self):
        """Which the AWS tools use. Files of which both say the same, or that only we refuse, with the reason."""
        random_ = random.Random(2)
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "output", "s3")
        often = names + 4 * names[3:]
        files, wanted = [], []
        for _ in range(1500):
            lines = []
            for _ in range(random_.randint(1, 12)):
                indent = random_.choice(("", "", "", " ", "\t"))
                lines.append(random_.choice((
                    f"[{random_.choice(('x', 'y', 'default'))}]",
                    f"{indent}{random_.choice(often)}{random_.choice(('=', ' = '))}{random_.choice(('A', 'b/c', 'A #c', ''))}",
                    f"{indent}{random_.choice(often)} = {random_.randint(0, 9)}",
                    random_.choice(("", "# c", ";c", "  # c = d")),
                )))
            start = random_.choice(("[x]\n", "[x]\naws_access_key_id = K\naws_secret_access_key = k/k\n"))
            text = start + "\n".join(lines) + random_.choice(("", "\n"))
            parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"), strict=False,
                                                  inline_comment_prefixes=("#", ";"))
            parser.read_string(text)
            files.append(("p", text.encode()))
            wanted.append([parser["x"].get(name, "").split("\n")[0] for name in names[:3]])
        same = 0
        for (_, content), values, answer in zip(files, wanted, self.ask(files)):
            if isinstance(answer, list):
                self.assertEqual([part.decode() for part in answer[:3]], values, content)
                same += 1
            elif values[0] and values[1]:
                self.assertRegex(answer, b"there twice|two sections|white space", content)
        self.assertGreater(same, 100)


class WhatStaysInMemory(WithHome):
    """While a request hangs, the memory of the tool is searched."""

    def memory(self, process):
        with open(f"/proc/{process.pid}/maps") as maps:
            ranges = [line.split()[0].split("-") for line in maps if line.split()[1].startswith("rw")]
        with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
            for start, end in ranges:
                memory.seek(int(start, 16))
                try:
                    yield memory.read(int(end, 16) - int(start, 16))
                except OSError:
                    pass  # [vvar] and the like

    def left(self, needles, *options):
        listener = Listener()
        self.addCleanup(listener.socket.close)
        command = [tool_path(), *options, "--endpoint", listener.endpoint, *ABORT]
        with subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                deadline = time.monotonic() + 10
                while listener.connections() == 0 and time.monotonic() < deadline:
                    time.sleep(0.02)
                time.sleep(0.1)
                pieces = list(self.memory(process))
            finally:
                process.kill()
        # The ends, as malloc writes over the beginning of what is freed. Less than these is found in what the loader saves
        # of vector registers.
        return [sum(piece.count(needle[-200:].encode()) for piece in pieces) for needle in needles]

    def test_secrets_that_are_not_used(self):
        # As long as may be: nothing else asks malloc for so much, and so writes over what was freed.
        used, other, ignored = (os.urandom(size).hex() for size in (500, 480, 510))
        pair = "aws_access_key_id = {}\naws_secret_access_key = {}\n"
        self.write(self.credentials, f"[o]\n{pair.format('O', other)}[x]\n{pair.format('X', used)}# {ignored}\n")
        self.write(self.obsutilconfig, f"ak=X\nsk={used}\n# {ignored}\ntokenCrr={other}\n")
        variables = self.write(self.path("variables"), f"OBS_ACCESS_KEY_ID=X\nOBS_SECRET_ACCESS_KEY={other}\n"
                                                       f"OBS_SECRET_ACCESS_KEY={used}\n# {ignored}\nOTHER={ignored}\n")
        for options in (("--profile", "x"), ("--credentials", "obsutil"), ("--credentials", f"file:{variables}")):
            with self.subTest(options):
                of_library, *ours = self.left((used, other, ignored), *options)
                self.assertEqual((of_library, ours), (1, [0, 0]), "the client has one copy of the secret that is used")
