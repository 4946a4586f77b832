"""What the page says of itself."""

from __future__ import annotations

HEADING = (
    '<h1 style="margin:0">nulie</h1><p class="nulie-note">Makes a photo more pleasing by trying'
    " thousands of chains of simple changes, and shows the recipe of the best one.</p>"
)
HELP = """<div class="nulie-help">
<h2>What it does</h2>
<p>nulie tries chains of well-known changes (brightness, contrast, colours, sharpness and so on)
on a small copy of your photo, asks a predictor what each result is worth, and goes on from the
best. When the time is up, the best few are made anew and judged again, the winner at full size.
What does not beat your photo is thrown away; it may well be that nothing does. The file you drop
is never changed.</p>
<h2>Modes</h2>
<p><b>soft</b> turns every dial a little: the result is your photo, better printed. <b>hard</b>
turns them far and adds drastic ones (hue, invert, solarize, posterize): for surprises. More
seconds find better results, with less and less to gain. The same seed tries the same things.</p>
<h2>What the score means</h2>
<p>It is the predictor's opinion, roughly from 0 to 10. Compare it between versions of <i>one</i>
photo only: a good photo of a plain wall may score less than a poor one of a sunset. A tenth of a
point says little. The built-in predictor <b>statistics</b> guesses how the photo should look and
says how near a version comes: 10 leaves nothing to mend. The <b>clip</b> predictors learned from
people's ratings of pictures; <b>retouch</b> does as an expert would who retouches the photo, and
says how near a version comes. The guards refuse what has less light, colour or contrast than the
minimum, or darker skin, and take points off, if you ask for it, for drifting away from the
photo.</p>
<h2>What it tends to get wrong</h2>
<p>It does not know what you meant: fog, dusk and silhouettes may be brightened, muted colours
made loud. Night scenes and drawings are judged poorly. It changes whole pictures, never a part of
one. Look at the result with the slider, take another variant, or turn the whole
recipe down, or its steps, under <i>Touch up</i>.</p>
<h2>By keyboard</h2>
<p>Tab reaches everything; on the before/after slider use the arrow keys, Home and End.</p>
</div>"""
