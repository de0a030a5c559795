"""Rivers: what a gauge's levels say about the water."""
