"""A bucket on loopback that speaks as much of the S3 protocol as pyarrow asks for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    parts: dict[str, dict[int, bytes]]
    refuse_writes = False

    def log_message(self, *args: object) -> None:
        pass

    def do_PUT(self) -> None:
        key, query = self._target()
        content = self._body()
        if self.refuse_writes:
            self._answer(507, b"<Error><Code>InsufficientStorage</Code></Error>")
        elif "partNumber" in query:
            self.parts[query["uploadId"][0]][int(query["partNumber"][0])] = content
            self._answer(200, b"", ETag='"part"')
        else:
            self.objects[key] = content
            self._answer(200, b"", ETag='"whole"')

    def do_POST(self) -> None:
        key, query = self._target()
        self._body()
        if "uploads" in query:
            self.parts[key] = {}
            self._answer(
                200,
                "<InitiateMultipartUploadResult><UploadId>"
                f"{escape(key)}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
        else:
            pieces = self.parts.pop(query["uploadId"][0])
            self.objects[key] = b"".join(pieces[number] for number in sorted(pieces))
            self._answer(200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")

    def do_DELETE(self) -> None:
        self._answer(204, b"")

    def do_HEAD(self) -> None:
        key, _ = self._target()
        if "/" not in key or key in self.objects:
            self._answer(200, b"", length=len(self.objects.get(key, b"")), ETag='"whole"')
        else:
            self._answer(404, b"")

    def do_GET(self) -> None:
        key, query = self._target()
        if "list-type" in query or "/" not in key:
            self._list(key.split("/")[0], query.get("prefix", [""])[0])
        elif key not in self.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            content = self.objects[key]
            wanted = self.headers.get("Range")
            if wanted is None:
                self._answer(200, content)
            else:
                first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
                span = f"bytes {first}-{last}/{len(content)}"
                self._answer(206, content[first : last + 1], **{"Content-Range": span})

    def _list(self, bucket: str, prefix: str) -> None:
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            "<LastModified>2026-11-20T00:00:00.000Z</LastModified></Contents>"
            for path, content in sorted(self.objects.items())
            if (key := path.removeprefix(bucket + "/")).startswith(prefix)
        )
        n_keys = rows.count("<Key>")
        self._answer(
            200,
            f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{n_keys}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode(),
        )

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).lstrip("/"), parse_qs(parts.query, keep_blank_values=True)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        else:
            raw = self._chunks()
        # AWS frames signed or check-summed bodies in chunks of their own.
        return _unframed(raw) if "aws-chunked" in self.headers.get("Content-Encoding", "") else raw

    def _chunks(self) -> bytes:
        found = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(found)

    def _answer(
        self, status: int, content: bytes, length: int | None = None, **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Last-Modified", "Fri, 20 Nov 2026 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _unframed(raw: bytes) -> bytes:
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if size == 0:
            break
        found.append(rest[:size])
        raw = rest[size + 2 :]
    return b"".join(found)


@contextmanager
def serve_bucket() -> Iterator[tuple[str, type[Bucket]]]:
    """Yield the URL of an empty store and the handler that holds its objects."""
    handler = type("OneBucket", (Bucket,), {"objects": {}, "parts": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        host = f"127.0.0.1%3A{server.server_address[1]}"
        yield (
            f"s3://name:word@results/margin?endpoint_override={host}&scheme=http&region=local",
            handler,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
