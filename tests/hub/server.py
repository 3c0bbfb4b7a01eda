"""A web server that speaks the Hub's protocol for files and commits, and that can be told to misbehave."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repo:
    files: dict = field(default_factory=dict)
    token: str = ""  # who reads it must show this; "" for a public one
    claimed: dict = field(default_factory=dict)  # sizes that the listing lies about

    @property
    def commit(self):
        return hashlib.sha1(
            json.dumps({name: hashlib.sha1(data).hexdigest() for name, data in sorted(self.files.items())}).encode()
        ).hexdigest()


@dataclass
class Fault:
    """What happens to answers for a path that ends in `path`.

    cut: bytes after which the connection breaks; stall: bytes after which it falls silent; mute: no answer at all; status:
    answered instead.
    """

    path: str
    times: int = 1
    cut: int | None = None
    stall: int | None = None
    mute: bool = False
    status: int = 0
    ignore_range: bool = False


class Hub:
    """The server; `site` holds plain files beside the repositories, path -> bytes."""

    def __init__(self):
        self.repos, self.site, self.blobs, self.faults, self.seen = {}, {}, {}, [], []
        self.writers = {"writer"}
        self.released = threading.Event()
        handler = type("Handler", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def cdn(self):
        return f"http://localhost:{self.server.server_port}"  # another host in the eyes of a browser, or of a token

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def gets(self, end):
        """The GET requests for a path that ends so, as their headers."""
        return [headers for method, path, headers in self.seen if method == "GET" and path.endswith(end)]

    def take_fault(self, path):
        for fault in self.faults:
            if fault.times and path.endswith(fault.path):
                fault.times -= 1
                return fault
        return None


@contextmanager
def running():
    hub = Hub()
    try:
        yield hub
    finally:
        hub.close()


def git_hash(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_HEAD(self):
        self.read("HEAD")

    def do_GET(self):
        self.read("GET")

    # Reading.

    def read(self, method):
        path = unquote(urlsplit(self.path).path)
        self.hub.seen.append((method, path, dict(self.headers)))
        fault = self.hub.take_fault(path)
        if fault and fault.mute:
            self.hub.released.wait(20)
            self.close_connection = True
            return None
        if fault and fault.status:
            return self.say(fault.status, {"error": "told to"})
        if path.startswith("/cdn/"):
            return self.send_file(self.hub.blobs[path[5:]], path[5:], fault)
        if path.startswith("/site/"):
            data = self.hub.site.get(path[6:])
            return self.say(404, {}) if data is None else self.send_file(data, sha256(data)[:16], fault)
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path)
        if match:
            return self.tree(*match.groups())
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        if match:
            return self.list(match[1], match[2] or "main")
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if match:
            return self.resolve(*match.groups(), fault)
        return self.say(404, {})

    def repo(self, name, revision):
        """The repository, or None after the refusal that the Hub gives."""
        repo, token = self.hub.repos.get(name), self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repo is None or (repo.token and token != repo.token):
            self.say(404 if token else 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"} if token else {})
        elif revision not in ("main", "v1", repo.commit):
            self.say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return repo
        return None

    def list(self, name, revision):
        repo = self.repo(name, revision)
        if repo is None:
            return
        siblings = []
        for file, data in repo.files.items():
            entry = {"rfilename": file, "size": repo.claimed.get(file, len(data)), "blobId": git_hash(data)}
            if file.endswith(".safetensors"):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        self.say(200, {"id": name, "modelId": name, "sha": repo.commit, "private": bool(repo.token), "tags": [], "siblings": siblings})

    def tree(self, name, revision):
        repo = self.repo(name, revision)
        if repo is None:
            return
        entries = [{"type": "file", "path": file, "size": len(data), "oid": git_hash(data)} for file, data in repo.files.items()]
        self.say(200, entries)

    def resolve(self, name, revision, file, fault):
        repo = self.repo(name, revision)
        if repo is None:
            return
        data, head = repo.files.get(file), {"X-Repo-Commit": repo.commit}
        if data is None:
            self.say(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound", **head})
        elif not file.endswith(".safetensors"):
            self.send_file(data, git_hash(data), fault, head)
        else:
            oid = sha256(data)
            self.hub.blobs[oid] = data
            linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{oid}"', "Location": f"{self.hub.cdn}/cdn/{oid}"}
            self.say(302, {}, {**head, **linked})

    def send_file(self, data, etag, fault, more=()):
        if self.headers.get("If-None-Match") == f'"{etag}"':
            return self.say(304, None)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        fresh = self.headers.get("If-Range") in (None, f'"{etag}"')
        start = int(match[1]) if match and fresh and not (fault and fault.ignore_range) else 0
        if start >= len(data) > 0 and match:
            return self.say(416, {}, {"Content-Range": f"bytes */{len(data)}"})
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in {"ETag": f'"{etag}"', "Content-Length": str(len(data) - start), "Accept-Ranges": "bytes", **dict(more)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return None
        body = data[start:]
        if fault and fault.cut is not None:
            self.wfile.write(body[: fault.cut])
            self.close_connection = True
        elif fault and fault.stall is not None:
            self.wfile.write(body[: fault.stall])
            self.hub.released.wait(20)
            self.close_connection = True
        else:
            self.wfile.write(body)
        return None

    # Writing.

    def do_PUT(self):
        data = self.body()
        self.hub.seen.append(("PUT", self.path, dict(self.headers)))
        self.hub.blobs[sha256(data)] = data
        self.say(200, {})

    def do_POST(self):
        path, data = unquote(urlsplit(self.path).path), self.body()
        self.hub.seen.append(("POST", path, dict(self.headers)))
        if path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.hub.writers:
            return self.say(401, {"error": "Invalid username or password."})
        fault = self.hub.take_fault(path)
        if fault:
            return self.say(fault.status, {"error": "told to"})
        if path == "/api/repos/create":
            wish = json.loads(data)
            name = f"{wish['organization']}/{wish['name']}" if wish.get("organization") else f"writer/{wish['name']}"
            if name in self.hub.repos:
                return self.say(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
            self.hub.repos[name] = Repo(token="writer" if wish.get("private") or wish.get("visibility") == "private" else "")
            return self.say(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": name})
        if "/preupload/" in path:
            files = json.loads(data)["files"]
            modes = [(file["path"], "lfs" if file["path"].endswith(".safetensors") else "regular") for file in files]
            return self.say(200, {"files": [{"path": file, "uploadMode": mode, "shouldIgnore": False} for file, mode in modes]})
        if path.endswith("/info/lfs/objects/batch"):
            return self.say(200, {"transfer": "basic", "objects": [self.upload(item) for item in json.loads(data)["objects"]]})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path)
        return self.commit(match[1], data) if match else self.say(404, {})

    def upload(self, item):
        if item["oid"] in self.hub.blobs:
            return item
        return {**item, "actions": {"upload": {"href": f"{self.hub.url}/upload/{item['oid']}", "header": {}}}}

    def commit(self, name, data):
        repo = self.hub.repos[name]
        for line in data.decode().splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            if part["key"] == "lfsFile":
                repo.files[value["path"]] = self.hub.blobs[value["oid"]]
        self.say(200, {"success": True, "commitUrl": f"{self.hub.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit})

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status, content, headers=None):
        data = b"" if content is None or self.command == "HEAD" else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
