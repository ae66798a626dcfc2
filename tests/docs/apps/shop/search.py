from __future__ import annotations


class _Index:
    def query(self, text: str) -> list[str]:
        return [text]


index = _Index()
