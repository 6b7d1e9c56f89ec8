-- What is known two hours before scheduled departure. Times are UTC; `hour`, `minute` and the HHMM
-- columns are local wall clock, which is what schedules and rush hours follow.
WITH observed AS (
    SELECT
        origin,
        time_hour AS available_at,
        temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib,
        sum(precip) OVER recent AS precip_6h,
        min(visib) OVER recent AS visib_6h,
        max(wind_speed) OVER recent AS wind_speed_6h,
        pressure - first_value(pressure) OVER recent AS pressure_change_6h
    FROM weather
    WINDOW recent AS (PARTITION BY origin ORDER BY time_hour RANGE BETWEEN INTERVAL 5 HOURS PRECEDING AND CURRENT ROW)
),
scheduled AS (
    SELECT *, time_hour + to_minutes(minute) - INTERVAL 2 HOURS AS known_at
    FROM batch
),
matched AS (
    -- An observation older than three hours says nothing: the station was silent.
    SELECT
        s.*,
        CASE WHEN s.known_at - o.available_at <= INTERVAL 3 HOURS THEN o.available_at END AS observed_at
    FROM scheduled AS s
    ASOF LEFT JOIN observed AS o ON s.origin = o.origin AND s.known_at >= o.available_at
)
SELECT
    f.year, f.month, f.day, f.carrier, f.flight, f.origin, f.time_hour,
    a.name AS airline,
    f.origin AS airport,
    f.dest,
    f.distance,
    f.hour * 60 + f.minute AS departure_minute,
    (f.sched_arr_time // 100) * 60 + f.sched_arr_time % 100 AS arrival_minute,
    isodow(make_date(f.year, f.month, f.day)) AS weekday,
    count(*) OVER (PARTITION BY f.origin, f.time_hour) AS departures_in_hour,
    p.year AS plane_year,
    p.seats,
    p.engines,
    p.manufacturer,
    w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.wind_gust, w.precip, w.pressure, w.visib,
    w.precip_6h, w.visib_6h, w.wind_speed_6h, w.pressure_change_6h
FROM matched AS f
LEFT JOIN observed AS w ON f.origin = w.origin AND f.observed_at = w.available_at
LEFT JOIN planes AS p ON f.tailnum = p.tailnum
LEFT JOIN airlines AS a ON f.carrier = a.carrier
