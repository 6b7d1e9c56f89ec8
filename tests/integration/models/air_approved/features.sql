-- Scheduled facts only: where to, how far, when.
SELECT
    year, month, day, carrier, flight, origin, time_hour,
    dest, distance,
    carrier AS airline,
    origin AS airport,
    hour * 60 + minute AS departure_minute,
    isodow(make_date(year, month, day)) AS weekday
FROM batch
