"""How the demo's posters and negatives are drawn: lettering, canvas, motifs, compositions. Pillow and numpy only."""
