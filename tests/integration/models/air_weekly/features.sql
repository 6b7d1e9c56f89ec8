-- Poor on purpose: a test adds where to and how far.
SELECT
    year, month, day, carrier, flight, origin, time_hour,
    carrier AS airline,
    origin AS airport,
    hour * 60 + minute AS departure_minute
FROM batch
