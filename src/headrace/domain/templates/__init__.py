"""Liquid templates as a kind of mapping rule: read once, checked against the model's columns, rendered per row.

In: the text of a template and the values of the columns it reads. Out: text, or the value that the text stands for.
A template opens no file, asks no clock, and stops at fixed limits. The Liquid library costs a tenth of a second to
import, so whoever is not sure to meet a template imports from here inside a function.
"""
