"""THE PAGE: results to look at, from a local server or from one file that needs no network.

```
sources ──▶ payload ──▶ server ──▶ browser        what `suiren view` opens
(history,      (JSON)  └▶ page ──▶ FILE.html      the same front end with the data inside
 JSON, trace)
```

Numbers are worked out in the rooms below; this room only puts them in order. The front end lies
in `static/`: plain modules, canvas and SVG, no library, no build step.
"""
