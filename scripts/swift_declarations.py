"""Types, stored variables and methods of Swift files, as far as text alone shows them: for scripts/check-structure.py."""
import dataclasses
import re

DECLARATION = re.compile(r"\b(class|struct|enum|actor|protocol|extension)\s+([A-Z]\w*(?:\.\w+)*)")
VARIABLE = re.compile(r"(?<![\w.])(let|var)\s+(\([^)]*\)|\w+(?:\s*,\s*\w+)*)\s*(?::\s*([^={]+?))?\s*(=|\{|$)", re.M)
FUNCTION = re.compile(r"(?<![\w.])func\s+(\w+)\s*(?:<[^>(]*>)?\s*\(")
CALL = re.compile(r"(?:return\s+)?(?:try[?!]?\s+)?(?:await\s+)?self\.((?:\w+[?!]?\.)*)(\w+)\((.*)\)", re.S)
OPENING, CLOSING = "([{", ")]}"


@dataclasses.dataclass(eq=False)
class Method:
    name: str
    labels: tuple
    parameters: tuple
    body: str

    def passes_on(self):
        """The stored variables on the way, the name and the labels of what it calls, if it does nothing but pass its
        parameters on as they came; else None."""
        found = CALL.fullmatch(self.body)
        if not found or closing(self.body, self.body.index("(")) != len(self.body) - 1:
            return None
        labels = []
        for argument in outermost(found[3]).split(",") if found[3].strip() else []:
            label, _, value = argument.rpartition(":")
            if value.strip() not in self.parameters:
                return None
            labels.append(label.strip() or "_")
        return [step.rstrip("?!") for step in found[1].split(".")[:-1]], found[2], tuple(labels)


@dataclasses.dataclass(eq=False)
class Type:
    name: str
    place: str
    #: What it inherits from or conforms to, anywhere.
    parents: set = dataclasses.field(default_factory=set)
    #: What its generic parameters conform to.
    generics: dict = dataclasses.field(default_factory=dict)
    #: Stored ones with the name of their type, "" where the text does not give it.
    variables: dict = dataclasses.field(default_factory=dict)
    methods: list = dataclasses.field(default_factory=list)
    #: What is written at the declaration and in the body.
    comments: str = ""


def masked(text):
    """The text with comments and the contents of strings blank, everything else where it was."""
    out, index = list(text), 0

    def blank(start, end):
        out[start:end] = [c if c == "\n" else " " for c in text[start:end]]

    def string_end(start):
        hashes = re.match("#*", text[start:]).group()
        quote = '"""' if text.startswith('"""', start + len(hashes)) else '"'
        at = start + len(hashes) + len(quote)
        while not text.startswith(quote + hashes, at):
            if text.startswith("\\" + hashes + "(", at):
                at, depth = at + len(hashes) + 2, 1
                while depth:
                    if text[at] == '"':
                        at = string_end(at)
                        continue
                    depth += {"(": 1, ")": -1}.get(text[at], 0)
                    at += 1
            else:
                at += 2 if text[at] == "\\" and not hashes else 1
        return at + len(quote + hashes)

    while index < len(text):
        end = index + 1
        if text.startswith("//", index):
            end = text.find("\n", index) if "\n" in text[index:] else len(text)
            blank(index, end)
        elif text.startswith("/*", index):
            end = text.index("*/", index) + 2
            blank(index, end)
        elif re.match('#*"', text[index:index + 4]):
            end = string_end(index)
            blank(index + 1, end - 1)
        index = end
    return "".join(out)


def closing(text, start):
    """Where what opens at `start` is closed."""
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] in OPENING) - (text[index] in CLOSING)
        if depth == 0:
            return index
    raise ValueError("nothing closes it")


def outermost(text):
    """The text with everything blank that is inside of brackets."""
    out, depth = [], 0
    for character in text:
        depth -= character in CLOSING
        out.append(character if depth == 0 or character == "\n" else " ")
        depth += character in OPENING
    return "".join(out)


def type_name(text):
    """`Base` of `any Base`, `(any Base)?`, `Base?` and `Base<Other>`."""
    found = re.fullmatch(r"\(?(?:any |some )?(\w+)(?:<.*>)?\)?[?!]?", text.strip())
    return found[1] if found else ""


def variables(body, surface):
    """The name and type of each stored variable."""
    for found in VARIABLE.finditer(surface):
        before = surface[:found.start()].rsplit("\n", 1)[-1]
        if re.search(r"\b(static|class|case)\b", before):
            continue
        if found[4] == "{" and not re.match(r"\s*(willSet|didSet)\b", body[found.end():]):
            continue
        kind = type_name(body[found.start(3):found.end(3)]) if found[3] else ""
        if found[4] == "=" and not found[3]:
            made = re.match(r"\s*([A-Z]\w*)\(", body[found.end():])
            kind = made[1] if made else ""
        for name in re.findall(r"\w+", found[2]):
            yield name, kind


def methods(body, surface):
    for found in FUNCTION.finditer(surface):
        opened = found.end() - 1
        closed = closing(body, opened)
        # A signature may go on in the next line; without a body it is a requirement.
        brace = surface.find("{", closed)
        if brace < 0 or re.search(r"\b(func|var|let|init)\b|\}", surface[closed:brace]):
            continue
        labels, parameters = [], []
        inside = body[opened + 1:closed]
        cuts = [-1, *[at for at, character in enumerate(outermost(inside)) if character == ","], len(inside)]
        for first, last in zip(cuts, cuts[1:]):
            words = inside[first + 1:last].split(":")[0].split()
            if words:
                labels.append(words[0])
                parameters.append(words[-1])
        yield Method(found[1], tuple(labels), tuple(parameters), body[brace + 1:closing(body, brace)].strip())


def declarations(code):
    """Each declared type of a file: where it begins, what it is, its name, its head, and where its body is."""
    for match in DECLARATION.finditer(code):
        opened = code.find("{", match.end())
        head = code[match.end():opened]
        if opened >= 0 and "\n\n" not in head and "}" not in head:
            yield match.start(), match[1], match[2], head, opened, closing(code, opened)


def read(files, root):
    """All types of the files by module and full name, those of extensions together with what they extend."""
    types = {}
    for file in files:
        text = file.read_text()
        code = masked(text)
        # Two programs may have types of one name.
        module = next(part for part in file.relative_to(root).parts[1:] if part != "Shared")
        found = list(declarations(code))
        for start, kind, name, head, opened, closed in found:
            outer = [one[2] for one in found if one[4] < start < one[5]]
            full = ".".join([*outer, name])
            place = f"{file.relative_to(root)}:{code.count(chr(10), 0, start) + 1}"
            kept = types.setdefault((module, full), Type(full, place))
            body = code[opened + 1:closed]
            surface = outermost(body)
            parameters = re.match(r"<([^>]*)>", head)
            kept.generics.update(re.findall(r"(\w+)\s*:\s*(\w+)", parameters[1]) if parameters else ())
            kept.parents |= set(re.findall(r"\w+", head[parameters.end() if parameters else 0:].split("where")[0]))
            if kind != "protocol":
                kept.methods += methods(body, surface)
            if kind in ("protocol", "extension"):
                continue
            kept.place = place
            kept.variables.update(variables(body, surface))
            above = text[:start].split("\n")[:-1]
            while above and above[-1].strip().startswith(("//", "@")):
                kept.comments += above.pop() + "\n"
            kept.comments += "\n".join(
                line for line in text[opened + 1:closed].split("\n") if line.strip().startswith("//"))
    return types
