"""The adapter folder: written so that a crash leaves the old one or the new one, read without
trusting it.
"""

from .fingerprint import Distance as Distance
from .fingerprint import Facts as Facts
from .fingerprint import Fingerprint as Fingerprint
from .fingerprint import differences as differences
from .fingerprint import distance as distance
from .fingerprint import facts_of as facts_of
from .fingerprint import fingerprint as fingerprint
from .fingerprint import packed_facts as packed_facts
from .fingerprint import tensor_facts as tensor_facts
from .fingerprint import with_hash as with_hash
from .folder import MANIFEST as MANIFEST
from .folder import Check as Check
from .folder import DamagedFileError as DamagedFileError
from .folder import NoFolderError as NoFolderError
from .folder import contents as contents
from .folder import read_folder as read_folder
from .folder import replace_file as replace_file
from .folder import sync as sync
from .folder import write_folder as write_folder
from .hashing import hash_of_parts as hash_of_parts
from .pinned import Pinned as Pinned
