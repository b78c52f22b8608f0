"""WHAT TIES A CODE BASE TO CUDA: found in its files, confirmed by a run, rewritten where it can be.

tie.py           what a kind of tie is; kinds_*.py: the registry, a row a kind
finding.py       one tie in one place
names.py         what a name in a file stands for; guards.py: what is done only where it can work
python_file.py   one Python file; calls.py, texts.py, formats.py, branches.py: what it looks at
text_file.py     requirements, Dockerfiles, shell, configurations, native sources
notebook.py      code cells as one Python file
scan.py          a folder
fix.py           the patch; rewrite.py, templates.py, head.py: how a file is rewritten
confirm.py       a run on a virtual card; watched.py: what runs inside it
show.py          the findings on screen and as JSON
"""
