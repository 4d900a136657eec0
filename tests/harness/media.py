"""Small files of the kinds that can be attached to a case, made here byte by byte: what stands where is known."""
import struct
import zlib


def pdf(text):
    return b"%PDF-1.4\n% " + text.encode() + b"\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(shade=128, size=64, more=b""):
    rows = b"".join(b"\0" + bytes([shade] * size) for _ in range(size))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)) + more + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def exif(lat=(34, 33, 0), lon=(114, 45, 36), taken="2026:11:20 09:08:07", offset="+08:00", orientation=6):
    """A TIFF in big endian: IFD0 with orientation, EXIF and GPS directories behind it."""
    rational = lambda parts: b"".join(struct.pack(">II", int(part * 100), 100) for part in parts)  # noqa: E731
    entry = lambda tag, kind, count, value: struct.pack(">HHI4s", tag, kind, count, value)  # noqa: E731
    at = lambda place: struct.pack(">I", place)  # noqa: E731
    first, second, third = 8, 8 + 2 + 3 * 12 + 4, 8 + 2 + 3 * 12 + 4 + 2 + 2 * 12 + 4
    data = third + 2 + 4 * 12 + 4
    texts = taken.encode() + b"\0" + offset.encode() + b"\0"
    places = data + len(texts)
    return (b"MM\0*" + at(first)
            + struct.pack(">H", 3) + entry(0x0112, 3, 1, struct.pack(">HH", orientation, 0)) + entry(0x8769, 4, 1, at(second))
            + entry(0x8825, 4, 1, at(third)) + at(0)
            + struct.pack(">H", 2) + entry(0x9003, 2, 20, at(data)) + entry(0x9011, 2, 7, at(data + 20)) + at(0)
            + struct.pack(">H", 4) + entry(1, 2, 2, b"N\0\0\0") + entry(2, 5, 3, at(places)) + entry(3, 2, 2, b"E\0\0\0")
            + entry(4, 5, 3, at(places + 24)) + at(0) + texts + rational(lat) + rational(lon))


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def box(name, *content):
    content = b"".join(content)
    return struct.pack(">I", len(content) + 8) + name + content


def mp4(size=0, place=b"+34.5500+114.7600/"):
    """A film without tracks, whose user data tell where it was taken."""
    film = box(b"mvhd", struct.pack(">III", 0, 2082844800 + 1700000000, 0), bytes(88))
    return (box(b"ftyp", b"isom\0\0\2\0isommp41") + box(b"moov", film, box(b"udta", box(b"\xa9xyz", struct.pack(">HH", len(place), 0) + place)))
            + box(b"mdat", bytes(n % 251 for n in range(size))))
