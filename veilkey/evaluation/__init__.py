"""The judge: does a protection work, against which recognizers, and what does a person see of it?

`protocol` says which photos there are, `work` protects and measures one photo, `scores` and `figures` turn what was
measured into figures, `run` does it all and gives the report. One subject a file.
"""
