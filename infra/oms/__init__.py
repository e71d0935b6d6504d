"""Order management: what it reports, by FIX drop copy, by file and by webhook, in one inbox."""

from infra.oms.files import FileTaken, inbox_folder, take_files
from infra.oms.naming import Naming
from infra.oms.positions import OmsInbox, OmsPosition, oms_positions
from infra.oms.webhook import OmsEndpoint, handle, oms_endpoint

__all__ = [
    "FileTaken",
    "Naming",
    "OmsEndpoint",
    "OmsInbox",
    "OmsPosition",
    "handle",
    "inbox_folder",
    "oms_endpoint",
    "oms_positions",
    "take_files",
]
