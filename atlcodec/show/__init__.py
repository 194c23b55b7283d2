"""Record sets to look at: sheets for a terminal (`blocks`), contact sheets (`sheet`), and pages for a browser (`page`).

All of them show `items`: the images of a set with what is known of each."""
