"""A small client of our own for OBS and S3 servers, and an independent signer for both schemes.

It shares nothing with the library under test: a key or a header that the library got wrong can't
be wrong here in the same way. It puts the request target on the wire byte for byte, and connects
to 127.0.0.1 whatever the Host header says.
"""

import base64
import collections
import datetime
import email.utils
import hashlib
import hmac
import http.client
import re
import socket
import urllib.parse
import xml.etree.ElementTree

SUB_RESOURCES = {"uploads", "uploadId", "partNumber", "policy"}
BARE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"

Answer = collections.namedtuple("Answer", "status headers body")
Upload = collections.namedtuple("Upload", "key upload_id initiated")


class Refused(AssertionError):
    def __init__(self, what, answer):
        super().__init__(f"{what}: {answer.status} {answer.body[:500]!r}")
        self.answer = answer


def encode(text):
    """A key or an upload id as it stands in the request target."""
    return "".join(chr(byte) if byte in BARE else f"%{byte:02X}" for byte in text.encode())


def sign(secret_key, method, date, special_headers, resource, content_type=""):
    """HMAC-SHA1 signature; special_headers are those that begin with x-obs- or x-amz-."""
    lines = [method, "", content_type, date]
    lines += [f"{name}:{value}" for name, value in sorted(special_headers.items())]
    text = "\n".join(lines + [resource])
    digest = hmac.new(secret_key.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class S3:
    """scheme: OBS or AWS. domain None: path addressing; else virtual hosts under that domain."""

    def __init__(self, port, access_key, secret_key, scheme="AWS", domain=None, token=None):
        self.port = port
        self.access_key = access_key
        self.secret_key = secret_key
        self.scheme = scheme
        self.domain = domain
        self.token = token
        self.clock_offset = 0
        self.connection = None

    def request(self, method, bucket, key="", query=(), body=b""):
        """query: pairs of name and value; a value of None stands for a name alone."""
        target, headers = self._signed(method, bucket, key, query, len(body))
        return self._exchange(method, target, headers, body)

    def _signed(self, method, bucket, key, query, length=0):
        """-> request target, headers"""
        path = "/" + encode(key)
        resource = f"/{bucket}{path}"
        host = f"127.0.0.1:{self.port}"
        if self.domain:
            host = f"{bucket}.{self.domain}:{self.port}"
        else:
            path = resource
        signed = sorted((n, v) for n, v in query if n in SUB_RESOURCES)
        if signed:
            resource += "?" + "&".join(n if v is None else f"{n}={v}" for n, v in signed)
        if query:
            path += "?" + "&".join(n if v is None else f"{n}={encode(v)}" for n, v in query)

        now = datetime.datetime.now(datetime.timezone.utc).timestamp() + self.clock_offset
        date = email.utils.formatdate(now, usegmt=True)
        special = {}
        if self.token:
            prefix = "x-obs-" if self.scheme == "OBS" else "x-amz-"
            special[prefix + "security-token"] = self.token
        signature = sign(self.secret_key, method, date, special, resource)
        headers = {
            "Host": host,
            "Date": date,
            "Authorization": f"{self.scheme} {self.access_key}:{signature}",
            "Content-Length": str(length),
        }
        headers.update(special)
        return path, headers

    def _exchange(self, method, target, headers, body):
        for last in (False, True):
            kept = self.connection is not None
            if not kept:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                self.connection.putrequest(
                    method, target, skip_host=True, skip_accept_encoding=True
                )
                for name, value in headers.items():
                    self.connection.putheader(name, value)
                self.connection.endheaders(body)
                answer = self.connection.getresponse()
                text = answer.read()
                if answer.will_close:
                    self.close()
                return Answer(answer.status, answer.headers, text)
            except (OSError, http.client.HTTPException):
                self.close()
                if last or not kept:
                    raise

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def _expect(self, what, answer, *statuses):
        if answer.status not in statuses:
            raise Refused(what, answer)
        return answer

    def create_bucket(self, bucket):
        self._expect("create bucket", self.request("PUT", bucket), 200)

    def put_policy(self, bucket, policy):
        self._expect("put policy", self.request("PUT", bucket, query=[("policy", None)], body=policy.encode()), 200, 204)

    def put_object(self, bucket, key, body):
        self._expect("put object", self.request("PUT", bucket, key, body=body), 200)

    def get_object(self, bucket, key):
        """The object's content; None if there is none."""
        answer = self._expect("get object", self.request("GET", bucket, key), 200, 404)
        return answer.body if answer.status == 200 else None

    def head_object(self, bucket, key):
        return self.request("HEAD", bucket, key).status == 200

    def delete_object(self, bucket, key):
        self._expect("delete object", self.request("DELETE", bucket, key), 204)

    def initiate(self, bucket, key):
        answer = self.request("POST", bucket, key, [("uploads", None)])
        self._expect("initiate", answer, 200)
        return text_of(xml_of(answer.body), "UploadId")

    def initiate_all(self, bucket, keys):
        """The same for many. Requests are sent 25 at a time before a response is read, which saves most of what they cost
        here, and some of what they cost the server. -> upload ids, in the order of the keys"""
        requests, upload_ids = [], []
        for key in keys:
            target, headers = self._signed("POST", bucket, key, [("uploads", None)])
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            requests.append(f"POST {target} HTTP/1.1\r\n{fields}\r\n".encode())
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            for begin in range(0, len(requests), 25):
                batch, responses = requests[begin : begin + 25], b""
                connection.sendall(b"".join(batch))
                while responses.count(b"</InitiateMultipartUploadResult>") < len(batch):
                    received = connection.recv(65536)
                    assert received, f"initiate: the connection was closed after {responses[-500:]!r}"
                    responses += received
                upload_ids += re.findall(r"<UploadId>([^<]+)<", responses.decode())
        return upload_ids

    def upload_part(self, bucket, key, upload_id, number, body):
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        answer = self.request("PUT", bucket, key, query, body)
        return self._expect("upload part", answer, 200).headers["ETag"]

    def list_parts(self, bucket, key, upload_id):
        """The parts' numbers; None if the upload is unknown."""
        answer = self.request("GET", bucket, key, [("uploadId", upload_id)])
        if answer.status == 404 and re.search(b"NoSuchUpload|NoSuchKey", answer.body):
            return None
        self._expect("list parts", answer, 200)
        return [int(text_of(part, "PartNumber")) for part in all_of(xml_of(answer.body), "Part")]

    def complete(self, bucket, key, upload_id, etags):
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = self.request("POST", bucket, key, [("uploadId", upload_id)], body)
        self._expect("complete", answer, 200)

    def abort(self, bucket, key, upload_id):
        assert upload_id, "an abort without an upload id deletes the object"
        answer = self.request("DELETE", bucket, key, [("uploadId", upload_id)])
        self._expect("abort", answer, 204)

    def list_uploads(self, bucket, prefix=None):
        """Every unfinished upload, over all pages. Without encoding-type: asked for it, RGW 16
        encodes the keys, but neither the markers, nor does it say so with EncodingType."""
        found, markers = [], []
        while True:
            query = [("uploads", None), ("max-uploads", "1000")]
            if prefix:
                query.append(("prefix", prefix))
            answer = self._expect(
                "list uploads", self.request("GET", bucket, query=query + markers), 200
            )
            page = xml_of(answer.body)
            found += [
                Upload(text_of(u, "Key"), text_of(u, "UploadId"), text_of(u, "Initiated"))
                for u in all_of(page, "Upload")
            ]
            if text_of(page, "IsTruncated") != "true":
                return found
            previous = markers
            markers = [
                ("key-marker", text_of(page, "NextKeyMarker")),
                ("upload-id-marker", text_of(page, "NextUploadIdMarker")),
            ]
            assert markers != previous, f"markers do not advance: {markers}"

    def assume_role(self, role_arn, session="obsabort"):
        """Temporary credentials from the server's STS: access key, secret key, token."""
        query = {"Action": "AssumeRole", "RoleArn": role_arn, "RoleSessionName": session}
        body = urllib.parse.urlencode(query).encode()
        headers = sign_v4(self, body, "sts", f"127.0.0.1:{self.port}")
        answer = self._expect("assume role", self._exchange("POST", "/", headers, body), 200)
        credentials = next(all_of(xml_of(answer.body), "Credentials"))
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return tuple(text_of(credentials, name) for name in names)


def sign_v4(client, body, service, host, region="default"):
    """Headers of a POST to / signed with AWS Signature Version 4, which STS alone asks for."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    payload = hashlib.sha256(body).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "host": host,
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
    }
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["POST", "/", ""] + lines + ["", names, payload])
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    key = ("AWS4" + client.secret_key).encode()
    for step in (day, region, service, "aws4_request", to_sign):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={client.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    headers["content-length"] = str(len(body))
    return headers


def xml_of(body):
    """The root element. Servers send keys that XML can't carry (0x01) all the same: such characters
    pass the parser in disguise, as private ones, and text_of gives them back."""

    def disguise(match):
        number = match.group(1).lower()
        code = int(number[1:], 16) if number.startswith("x") else int(number)
        return chr(0xE000 + code) if code < 32 else match.group(0)

    text = re.sub("&#(x[0-9a-fA-F]+|[0-9]+);", disguise, body.decode())
    text = re.sub("[\x01-\x08\x0b\x0c\x0e-\x1f]", lambda m: chr(0xE000 + ord(m.group(0))), text)
    return xml.etree.ElementTree.fromstring(text)


def all_of(element, name):
    """Elements of that name at any depth, whatever their name space."""
    return (child for child in element.iter() if child.tag.rpartition("}")[2] == name)


def text_of(element, name):
    for child in all_of(element, name):
        return (child.text or "").translate({0xE000 + code: code for code in range(32)})
    return ""
