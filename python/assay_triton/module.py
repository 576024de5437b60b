"""merge(): the kernels of one plan as one PTX module.

Triton makes a module of each kernel, so names at module scope can clash: those of all modules but
the first that uses them get a number. Of the line information what names the candidate's own file
stays, as `.loc` of file 1; for code of a library that Triton inlined, that is the line of the call.
Debug sections and comments go.
"""
import re

_DEBUG_SECTION = re.compile(r"^\s*\.section\s+\.debug\w*\s*\{.*?^\s*\}\s*?$", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"^\s*\.(version|target|address_size)\b")
_DEFINITION = re.compile(r"^\s*(?:\.visible\s+|\.weak\s+)?"
                         r"(?:\.entry\s+|\.func\s+(?:\([^)]*\)\s*)?|\.(?:global|const)\b.*?\s)"
                         r"([\w$]+)\s*(?:\(|\[|=|;)")
# A name that is used: no part of another, no register and no instruction such as add.f32.
_USE = r"(?<![\w$.%]){}(?![\w$.])"
_ENTRY = r"(?<=\.entry ){}(?=\s*\()"


def merge(images, file_name):
    """One module of `images`, whose entries are called by their labels."""
    header, bodies, shared = [], [], set()
    for number, image in enumerate(images):
        lines = []
        for line in _DEBUG_SECTION.sub("", image.ptx).splitlines():
            line = _line(line, file_name)
            if _HEADER.match(line):
                if number == 0:
                    header.append(line)
            elif line.startswith(".extern"):  # shared memory, printf: the same everywhere
                if line not in shared:
                    lines.append(line)
                shared.add(line)
            elif line:
                lines.append(line)
        bodies.append(_rename("\n".join(lines), image, number))
    return "\n".join([*header, f'.file 1 "{file_name}"', *bodies]) + "\n"


def _line(line, file_name):
    text, _, comment = line.partition("//")
    if text.lstrip().startswith(".loc"):
        own = re.findall(rf"{re.escape(file_name)}:(\d+):(\d+)", comment)
        return f".loc 1 {own[-1][0]} {own[-1][1]}" if own else ""
    return "" if text.lstrip().startswith(".file") else text.rstrip()


def _rename(text, image, number):
    names = {match[1] for match in map(_DEFINITION.match, text.splitlines()) if match}
    for name in names:
        if name == image.symbol:
            text = re.sub(_ENTRY.format(re.escape(name)), image.label, text)
        elif number > 0:
            text = re.sub(_USE.format(re.escape(name)), f"{name}${number}", text)
    return text
