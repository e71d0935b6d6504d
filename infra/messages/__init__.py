"""Messages about calls: one set of contents, several codecs. See README.md."""

__all__ = [
    "applying",
    "contents",
    "fix_codec",
    "iso_codec",
    "iso_facets",
    "iso_xml",
    "webhook_body",
    "webhook_delivery",
    "webhook_inbound",
    "webhook_signing",
    "webhook_urls",
]
