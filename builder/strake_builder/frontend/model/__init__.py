"""The frozen dataclasses that parsing, planning and evaluation yield."""
