"""Writes what CloudFormation makes of the SAM template, as JSON: cfn-lint finds more in that than in the source.

    python infra/translate.py infra/template.yaml translated.json
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The template names none."""

    def load(self):
        return {}


def main(source, target):
    with open(source, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # Code is uploaded at a deployment; until then any place will do.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    with open(target, "w", encoding="utf-8") as file:
        json.dump(transform(template, {}, NoManagedPolicies()), file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
