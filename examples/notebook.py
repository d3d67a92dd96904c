"""Look at what is in doubt, in a notebook: open this file as one, or paste its cells. It needs IPython."""

# %% Find what is to be covered. The plan is kept in OUT/private.
from IPython.display import Image

from redact import analyse, sheet

CLIP, OUT = "clip.mp4", "out"

plan = analyse(CLIP, OUT)
for doubt in plan.doubts:
    print(f"frames {doubt.first} to {doubt.last}: {doubt.reason}")

# %% The places themselves, covered as the copy will be.
Image(sheet(plan))
