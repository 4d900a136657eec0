"""hj212.py: writes frames of HJ 212, from the texts of the standards alone: an encoder that shares nothing with the product's
parser. Check values after HJ 212-2017 annex A, SM4 after GB/T 32907-2016."""
import struct

FK = (0xA3B1BAC6, 0x56AA3350, 0x677D9197, 0xB27022DC)
SBOX = bytes.fromhex(
    "d690e9fecce13db716b614c228fb2c052b679a762abe04c3aa44132649860699"
    "9c4250f491ef987a33540b43edcfac62e4b31ca9c908e89580df94fa758f3fa6"
    "4707a7fcf37317ba83593c19e6854fa8686b81b27164da8bf8eb0f4b70569d35"
    "1e240e5e6358d1a225227c3b01217887d40046579fd327524c3602e7a0c4c89e"
    "eabf8ad240c738b5a3f7f2cef96115a1e0ae5da49b341a55ad933230f58cb1e3"
    "1df6e22e8266ca60c02923ab0d534e6fd5db3745defd8e2f03ff6a726d6c5b51"
    "8d1baf92bbddbc7f11d95c411f105ad80ac13188a5cd7bbd2d74d012b8e5b4b0"
    "8969974a0c96777e65b9f109c56ec68418f07dec3adc4d2079ee5f3ed7cb3948")


def crc(segment, kind="standard"):
    register = 0xFFFF
    for byte in segment:
        register = byte ^ (register >> 8 if kind == "standard" else register)
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
    return (register & 0xFF) << 8 | register >> 8 if kind == "modbus-swapped" else register


def rotate(word, bits):
    return (word << bits | word >> 32 - bits) & 0xFFFFFFFF


def substitute(word):
    return int.from_bytes(bytes(SBOX[byte] for byte in word.to_bytes(4, "big")), "big")


def round_keys(key):
    words = [a ^ b for a, b in zip(struct.unpack(">4I", key), FK)]
    for i in range(32):
        constant = int.from_bytes(bytes((4 * i + j) * 7 % 256 for j in range(4)), "big")
        mixed = substitute(words[i + 1] ^ words[i + 2] ^ words[i + 3] ^ constant)
        words.append(words[i] ^ mixed ^ rotate(mixed, 13) ^ rotate(mixed, 23))
    return words[4:]


def sm4_block(block, keys):
    words = list(struct.unpack(">4I", block))
    for i, key in enumerate(keys):
        mixed = substitute(words[i + 1] ^ words[i + 2] ^ words[i + 3] ^ key)
        words.append(words[i] ^ mixed ^ rotate(mixed, 2) ^ rotate(mixed, 10) ^ rotate(mixed, 18) ^ rotate(mixed, 24))
    return struct.pack(">4I", *reversed(words[-4:]))


def encrypt(content, key):
    """The text between && and && as it travels (HJ 212-2025): whole blocks as {0x..,0x..}, the rest as it is."""
    keys, whole = round_keys(key), len(content) // 16 * 16
    cipher = b"".join(sm4_block(content[i:i + 16], keys) for i in range(0, whole, 16))
    return b"{" + b",".join(b"0x%02X" % byte for byte in cipher) + b"}" + content[whole:]


def decrypt(content, key):
    """The way back."""
    cipher, rest = content[1:].split(b"}", 1)
    keys, data = round_keys(key)[::-1], bytes(int(byte, 16) for byte in cipher.split(b","))
    return b"".join(sm4_block(data[i:i + 16], keys) for i in range(0, len(data), 16)) + rest


def frame(header, items, kind="standard", key=None, encoding="utf-8", tail=b"\r\n", declared=None):
    """One frame. `header`: [(name, value)]; `items`: [(separator before it, name, value)]; `key`: SM4, 16 bytes."""
    head = ";".join(f"{name}={value}" for name, value in header).encode(encoding) + b";CP=&&"
    content = "".join(f"{separator if n else ''}{name}={value}" for n, (separator, name, value) in enumerate(items)).encode(encoding)
    plain = head + content + b"&&"
    travels = head + encrypt(content, key) + b"&&" if key is not None and len(content) >= 16 else plain
    return b"##%04d" % (len(plain) if declared is None else declared) + travels + b"%04X" % crc(plain, kind) + tail


def written(data):
    """Bytes as `cityhub gateway decode` reads them: what is no printable ASCII as an escape."""
    names = {0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t", 0x5C: "\\\\"}
    return "".join(names.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data)
