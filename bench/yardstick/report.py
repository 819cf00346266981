"""What the rounds found, as JSON, as Markdown and as plots."""

import json
from statistics import median

from . import plot


BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def write(results, out):
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1, default=str) + "\n")
    (out / "results.md").write_text(markdown(results))
    for name, picture in plots(results).items():
        (out / name).write_text(picture)


def write_into(results, page):
    """Puts the tables between the marks of a page, and the plots and all readings into the folder of its name."""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    text = markdown(results, f"{folder.name}/")
    page.write_text(before + BEGIN + "\n" + text + "\n" + END + after)
    (folder / "results.json").write_text(json.dumps(results, default=str) + "\n")
    for name, picture in plots(results).items():
        (folder / name).write_text(picture)


def markdown(results, pictures=""):
    parts = [heading(results), versions(results)]
    appends = cells(results, "append")
    if appends:
        parts.append("## Append (W1)\n\n256 B, one message a request; medians of the rounds, (least - most).")
    for cell, systems in appends.items():
        parts.append(f"### {cell}\n\n" + append_table(results, systems))
    for cell, systems in cells(results, "density").items():
        parts.append(f"## Creation, rest and restart (W2, W3, W4): {cell}\n\n256 B of body in each; disk is with it.\n\n" + density_table(systems))
    for cell, systems in cells(results, "deliver").items():
        parts.append(f"## Send, deliver, ack (W5): {cell}\n\n" + deliver_table(systems))
    for cell, systems in cells(results, "handover").items():
        parts.append(f"## Hand-over under traffic (W6): {cell}\n\n" + moving_table(systems, "hand-overs"))
    for cell, systems in cells(results, "redeliver").items():
        parts.append(f"## Redelivery beside healthy traffic (W7): {cell}, 1 % not acked at first\n\n" + redeliver_table(systems))
    for cell, systems in cells(results, "stream").items():
        parts.append(f"## Token streams (W8): {cell}\n\n" + moving_table(systems, "reconnects"))
    for cell, systems in cells(results, "subscriptions").items():
        parts.append(f"## Subscriptions said again: {cell}\n\n" + subscriptions_table(systems))
    for title, workload in (("A wave of expiry (W9)", "expire"), ("Very many idle lite topics, of LiteMQ alone (W3, W4)", "idle")):
        for systems in cells(results, workload).values():
            parts += alone(title, systems["litemq"][0])
    parts += [f"![{name.removesuffix('.svg')}]({pictures}{name})" for name in plots(results)]
    if results["dashes"]:
        parts.append("## Not measured\n\n" + "\n".join(f"- {dash['system']}: {dash['reason']}" for dash in results["dashes"]))
    return "\n\n".join(parts) + "\n"


def heading(results):
    machine, loop = results["machine"], results["bare_loop"]
    probes = [reading[when]["p50_us"] for reading in results["rounds"] for when in ("disk_before", "disk_after")]
    tails = [reading[when]["p99_us"] for reading in results["rounds"] for when in ("disk_before", "disk_after")]
    unsteady = {(reading["round"], reading["system"], reading["workload"]): reading["unsteady"] for reading in results["rounds"] if reading["unsteady"]}
    text = (
        f"Class {results['durability']}, began {results['began']}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB, Linux {machine['kernel']}; servers on cores {results['server_cpus'] or 'all'}, "
        f"load generator on {results['generator_cpus'] or 'all'}. Each cell was measured for {results['seconds']} s after "
        f"{results['warmup_seconds']} s of warm-up, or longer where a virtual machine has to warm up, in {rounds_of(results)}.\n\n"
        f"`{' '.join(results['command'])}`\n\n"
    )
    if probes:
        text += (
            f"fdatasync of 4 KiB around the rounds: p50 {spread(probes, micros)}, p99 {spread(tails, micros)}. "
            f"{len(unsteady)} rounds are unsteady and count only where a system has no other.\n\n"
        )
    text += "Bare pwrite + fdatasync loop, one writer: " + ", ".join(
        f"{size // 256:,} x 256 B p50 {micros(latency['p50_us'])} ({size / 256 * 1e6 / latency['p50_us']:,.0f} messages/s)"
        for size, latency in sorted((int(size), latency) for size, latency in loop.items())
    ) + "."
    return text


def rounds_of(results):
    """How often each workload was measured."""
    counts = {}
    for reading in results["rounds"]:
        counts[reading["workload"]] = max(counts.get(reading["workload"], 0), reading["round"] + 1)
    words = {}
    for workload, count in counts.items():
        words.setdefault(count, []).append(workload)
    return ", ".join(f"{count} round{'s' if count > 1 else ''} of {', '.join(names)}" for count, names in sorted(words.items(), reverse=True))


def versions(results):
    rows = [[name, system["version"], system["setting"], system["flags"]] for name, system in results["systems"].items()]
    return table(["system", "version", "durability", "flags"], rows)


def append_table(results, systems):
    limits = {name for name, system in results["systems"].items() if system["limit"]}
    rates = {name: middle(readings, rate) for name, readings in systems.items()}
    peers = [rates[name] for name in systems if name not in limits and not name.startswith("litemq")]
    ceiling = next((rates[name] for name in systems if name in limits), None)
    cpu = {name: middle(readings, lambda reading: reading["server_cpu_seconds_per_million"]) for name, readings in systems.items()}
    least = next((cpu[name] for name in systems if name in limits), None)
    rows = []
    for name, readings in sorted(systems.items(), key=lambda item: -rates[item[0]]):
        first = readings[0]
        rows.append([
            name, spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
            *(micros(middle(readings, lambda reading, key=key: reading["latency"][key])) for key in ("p50_us", "p99_us", "p999_us")),
            f"{cpu[name]:.1f}",
            f"{middle(readings, lambda reading: reading['generator_cpu_seconds_per_million']):.1f}",
            f"{middle(readings, lambda reading: reading['server_resident_bytes']) / (1 << 20):,.0f}",
            f"{sum(reading['failed'] for reading in readings):,} / {sum(reading['not_begun'] for reading in readings):,}",
            ratio(rates[name], max(peers, default=None)) if first["offered_per_second"] is None and name not in limits else "-",
            ratio(rates[name], ceiling) if first["offered_per_second"] is None else "-",
            ratio(cpu[name], least),
        ])
    return table(["system", "appends/s", "p50", "p99", "p99.9", "server CPU s per million", "generator CPU s per million", "RSS MiB",
                  "failed / not begun", "rate beside the best peer", "rate beside the echo", "server CPU beside the echo"], rows)


def density_table(systems):
    def seconds(readings, key):
        return f"{middle(readings, lambda reading: reading[key]):.2f} s"

    def each(readings, key):
        return f"{middle(readings, lambda reading: reading[key]):,.0f}"

    rows = [
        [name, spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
         f"{middle(readings, lambda reading: reading['server_cpu_seconds_per_million']):.1f}",
         f"{sum(reading['failed'] for reading in readings):,}", each(readings, "resident_each"), each(readings, "anonymous_each"), each(readings, "disk_each"),
         f"{middle(readings, lambda reading: reading['descriptors_each']):.2f} / {middle(readings, lambda reading: reading['files_each']):.2f}",
         f"{100 * middle(readings, lambda reading: reading['cpu_at_rest']):.1f} %",
         f"{middle(readings, lambda reading: reading['resident_after_restart']) / (1 << 20):,.0f}",
         *(seconds(readings, key) for key in ("ready_after_kill_seconds", "stop_seconds", "ready_after_stop_seconds"))]
        for name, readings in systems.items()
    ]
    return table(["system", "creations/s", "server CPU s per million", "failed", "RSS B each", "anonymous B each", "disk B each", "descriptors / files each",
                  "CPU at rest", "RSS MiB after restart", "first append after kill -9", "stop", "first append after stop"], rows)


def deliver_table(systems):
    rows = [
        [name, readings[0].get("under_way", "-"), spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
         *(micros(middle(readings, lambda reading, key=key: reading[key[0]][key[1]]))
           for key in (("delivery", "p50_us"), ("delivery", "p99_us"), ("latency", "p50_us"), ("latency", "p99_us"))),
         f"{middle(readings, lambda reading: reading['messages_per_receive']):.1f}", f"{sum(reading['failed'] for reading in readings):,}",
         f"{sum(reading['redelivered'] for reading in readings):,}",
         f"{middle(readings, lambda reading: reading['server_cpu_seconds_per_million']):.1f}",
         f"{middle(readings, lambda reading: reading['consumers_seconds']):.2f} s",
         f"{middle(readings, lambda reading: reading['resident_bytes_with_consumers'] - reading['resident_bytes_before_consumers']) / (1 << 20):,.1f}",
         f"{middle(readings, lambda reading: reading['server_resident_bytes']) / (1 << 20):,.0f}"]
        for name, readings in sorted(systems.items(), key=lambda item: -middle(item[1], rate))
    ]
    return table(["system", "under way", "cycles/s", "delivery p50", "delivery p99", "send to acked p50", "send to acked p99", "messages per receive",
                  "failed", "redelivered", "server CPU s per million", "consumers made in", "RSS MiB of the consumers", "RSS MiB at the end"], rows)


def moving_table(systems, moves):
    rows = [
        [name, spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
         *(micros(middle(readings, lambda reading, key=key: reading["latency"][key])) for key in ("p50_us", "p99_us", "p999_us")),
         f"{middle(readings, lambda reading: reading['moves']):,.0f}",
         *(micros(middle(readings, lambda reading, key=key: reading[key[0]][key[1]]))
           for key in (("gap", "p50_us"), ("gap", "p99_us"), ("first_delivery", "p50_us"), ("first_delivery", "p99_us"))),
         *(f"{sum(reading[key] for reading in readings):,}" for key in ("missing", "repeated", "reordered", "redelivered")),
         f"{sum(reading['failed'] for reading in readings):,} / {sum(reading['not_begun'] for reading in readings):,}",
         f"{middle(readings, lambda reading: reading['server_cpu_seconds_per_million']):.1f}",
         f"{middle(readings, lambda reading: reading['server_resident_bytes']) / (1 << 20):,.0f}"]
        for name, readings in sorted(systems.items(), key=lambda item: middle(item[1], lambda reading: reading["latency"]["p99_us"]))
    ]
    return table(["system", "messages/s", "delivery p50", "delivery p99", "delivery p99.9", moves, "gap p50", "gap p99",
                  "first delivery after p50", "first delivery after p99", "missing", "repeated", "reordered", "redelivered",
                  "failed / not begun", "server CPU s per million", "RSS MiB"], rows)


def redeliver_table(systems):
    rows = [
        [name, spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
         *(micros(middle(readings, lambda reading, key=key: reading["latency"][key])) for key in ("p50_us", "p99_us")),
         f"{middle(readings, lambda reading: reading['redelivery']['count']):,.0f}", f"{readings[0]['invisible_seconds']:.0f} s",
         *(micros(middle(readings, lambda reading, key=key: reading["redelivery"][key])) for key in ("p50_us", "p99_us", "max_us")),
         f"{sum(reading['lost'] for reading in readings):,}", f"{sum(reading['failed'] for reading in readings):,}",
         f"{middle(readings, lambda reading: reading['server_cpu_seconds_per_million']):.1f}"]
        for name, readings in sorted(systems.items(), key=lambda item: -middle(item[1], rate))
    ]
    return table(["system", "healthy cycles/s", "send to acked p50", "send to acked p99", "came again", "asked to stay away", "came again after p50",
                  "p99", "at most", "lost", "failed", "server CPU s per million"], rows)


def alone(title, reading):
    """The tables of the load generator itself."""
    yield f"## {title}\n\n`litemq-bench {' '.join(reading['command'])}`"
    for found in reading["tables"]:
        yield f"{found['title']}\n\n{table(found['columns'], found['rows'])}"


def subscriptions_table(systems):
    def percent(readings, value):
        return f"{middle(readings, value):.1f} %"

    rows = [
        [name, percent(readings, lambda reading: reading["server_cpu_percent"]), percent(readings, lambda reading: reading["rest_cpu_percent"]),
         f"{middle(readings, lambda reading: reading['server_cpu_us_per_name']):.2f} µs", spread([rate(reading) for reading in readings], lambda value: f"{value:,.0f}"),
         *(micros(middle(readings, lambda reading, key=key: reading["latency"][key])) for key in ("p50_us", "p99_us")),
         f"{middle(readings, lambda reading: reading['first_syncs_names_per_second']):,.0f}",
         f"{middle(readings, lambda reading: reading['subscription_bytes']):,.0f}",
         *(micros(middle(readings, lambda reading, key=key: reading["traffic"]["delivery"][key])) for key in ("p50_us", "p99_us")),
         percent(readings, lambda reading: reading["traffic"]["server_cpu_percent"]),
         f"{sum(reading['missing'] for reading in readings):,}", f"{sum(reading['failed'] for reading in readings):,}",
         f"{middle(readings, lambda reading: reading['server_resident_bytes']) / (1 << 20):,.0f}"]
        for name, readings in sorted(systems.items(), key=lambda item: middle(item[1], lambda reading: reading["server_cpu_percent"]))
    ]
    return table(["system", "server CPU of one core", "the same without syncs", "of a name", "names/s", "sync p50", "sync p99", "first syncs, names/s",
                  "RSS B of a subscription", "delivery p50 beside syncs", "delivery p99", "server CPU then", "missing", "failed", "RSS MiB at the end"], rows)


def plots(results):
    limits = [name for name, system in results["systems"].items() if system["limit"]]
    pictures = {}
    for number, (cell, systems) in enumerate(cells(results, "append").items()):
        rates = {name: middle(readings, rate) for name, readings in systems.items()}
        tails = {name: middle(readings, lambda reading: reading["latency"]["p99_us"] / 1e3) for name, readings in systems.items()}
        pictures[f"append-{number}-rate.svg"] = plot.bars(f"Appends per second, {cell}", rates, limits, lambda value: f"{value:,.0f}")
        pictures[f"append-{number}-p99.svg"] = plot.bars(f"p99 in ms, {cell}", tails, limits, lambda value: f"{value:,.2f}")
    for cell, systems in cells(results, "deliver").items():
        rates = {name: middle(readings, rate) for name, readings in systems.items()}
        pictures["deliver-rate.svg"] = plot.bars(f"Cycles of send, deliver, ack per second, {cell}", rates, limits, lambda value: f"{value:,.0f}")
    for number, (cell, systems) in enumerate(cells(results, "handover").items()):
        gaps = {name: middle(readings, lambda reading: reading["gap"]["p99_us"] / 1e3) for name, readings in systems.items()}
        pictures[f"handover-{number}-gap.svg"] = plot.bars(f"p99 of the gap in ms, {cell}", gaps, limits, lambda value: f"{value:,.2f}")
    for cell, systems in cells(results, "stream").items():
        tails = {name: middle(readings, lambda reading: reading["latency"]["p99_us"] / 1e3) for name, readings in systems.items()}
        pictures["stream-p99.svg"] = plot.bars(f"p99 of the delivery of a token in ms, {cell}", tails, limits, lambda value: f"{value:,.2f}")
    for number, (cell, systems) in enumerate(cells(results, "density").items()):
        memory = {name: middle(readings, lambda reading: reading["resident_each"]) for name, readings in systems.items()}
        restart = {name: middle(readings, lambda reading: reading["ready_after_kill_seconds"]) for name, readings in systems.items()}
        pictures[f"density-{number}-memory.svg"] = plot.bars(f"Resident bytes of an idle channel, {cell}", memory, limits, lambda value: f"{value:,.0f}")
        pictures[f"density-{number}-restart.svg"] = plot.bars(f"Seconds from start to first append after kill -9, {cell}", restart, limits, lambda value: f"{value:,.2f}")
    return pictures


def cells(results, workload):
    """Cell -> system -> readings; the steady ones, or all where none is."""
    found = {}
    for reading in results["rounds"]:
        if reading["workload"] == workload:
            found.setdefault(reading["cell"], {}).setdefault(reading["system"], []).append(reading)
    return {
        cell: {name: [reading for reading in readings if not reading["unsteady"]] or readings for name, readings in systems.items()}
        for cell, systems in found.items()
    }


def rate(reading):
    return reading["appends_per_second"]


def middle(readings, value):
    return median(value(reading) for reading in readings)


def ratio(value, base):
    return f"{value / base:.2f}" if base else "-"


def spread(values, form):
    if min(values) == max(values):
        return form(values[0])
    return f"{form(median(values))} ({form(min(values))} - {form(max(values))})"


def micros(value):
    if value < 1e3:
        return f"{value:.0f} µs"
    return f"{value / 1e3:.2f} ms" if value < 1e6 else f"{value / 1e6:.2f} s"


def table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
