"""The trip: extract, plan, explain, execute. Knows no vendor by name; meets the world through ports."""
