"""The training script that docs/estimators.md shows."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "estimators.md"
(EXAMPLE,) = re.findall(r"```python\n(# train\.py\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
