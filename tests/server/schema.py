"""Checks JSON against the part of JSON Schema that openapi.json uses."""

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float)}


def resolve(schema, document):
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def check(value, schema, document, where="body"):
    schema = resolve(schema, document)
    if value is None and schema.get("nullable"):
        return
    kind = schema.get("type")
    if kind:
        good = isinstance(value, TYPES[kind])
        if isinstance(value, bool) and kind in ("integer", "number"):
            good = False
        if not good:
            raise AssertionError(f"{where} is {value!r}, not {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise AssertionError(f"{where} is {value!r}, not one of {schema['enum']}")
    if kind == "object":
        for name in schema.get("required", []):
            if name not in value:
                raise AssertionError(f"{where} lacks {name}")
        properties = schema.get("properties", {})
        for name, one in value.items():
            if name in properties:
                check(one, properties[name], document, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                raise AssertionError(f"{where} has {name}, which the document does not know")
            elif isinstance(schema.get("additionalProperties"), dict):
                check(one, schema["additionalProperties"], document, f"{where}.{name}")
    if kind == "array" and "items" in schema:
        for index, one in enumerate(value):
            check(one, schema["items"], document, f"{where}[{index}]")
