"""Files in the forms that others publish, written anew from the described shape."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any


def kagoshima(
    rows: Sequence[str], kind: str = "水位", numbers: str = "12,139", names: str = "屋仁橋,古仁屋橋", units: str = ""
) -> bytes:
    """A month as the prefecture writes it."""
    blank = "," * numbers.count(",")
    lines = [f"{kind},{blank}", f",{numbers}", f"観測時刻,{names}", *([f",{units}"] if units else []), *rows]
    return ("\r\n".join(lines) + "\r\n").encode("cp932")


class _Unmarked(zipfile.ZipInfo):
    """A file of a ZIP whose name is CP932 without a mark that says so, as Windows writes it."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp932"), self.flag_bits & ~0x800


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A ZIP as Windows makes it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(_Unmarked(name), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def rdb(site: str, columns: Sequence[str], rows: Sequence[str]) -> str:
    """A site of an RDB file; of each column `SERIES_PARAMETER` comes another with its qualifier."""
    head = "\t".join(["agency_cd", "site_no", "datetime", "tz_cd", *(f"{c}\t{c}_cd" for c in columns)])
    widths = "\t".join(["5s", "15s", "20d", "6s", *("14n\t10s" for _ in columns)])
    lines = [f"# Data provided for site {site}", '#    "69928" Gage height, feet', head, widths]
    return "\n".join([*lines, *(f"USGS\t{site}\t{row}" for row in rows)]) + "\n"


def water_services(series: Sequence[tuple[str, str, str, Sequence[tuple[str, str, list[str]]]]]) -> bytes:
    """JSON of waterservices: (site, parameter, unit, [(time, value, qualifiers)])."""
    return json.dumps(
        {
            "name": "ns1:timeSeriesResponseType",
            "value": {
                "queryInfo": {},
                "timeSeries": [
                    {
                        "sourceInfo": {"siteName": "A RIVER", "siteCode": [{"value": site, "agencyCode": "USGS"}]},
                        "variable": {
                            "variableCode": [{"value": parameter}],
                            "unit": {"unitCode": unit},
                            "noDataValue": -999999.0,
                        },
                        "values": [
                            {
                                "value": [{"value": v, "qualifiers": q, "dateTime": t} for t, v, q in values],
                                "method": [{"methodID": 69928}],
                            }
                        ],
                    }
                    for site, parameter, unit, values in series
                ],
            },
        }
    ).encode()


def water_data(features: Sequence[Mapping[str, Any]]) -> bytes:
    """GeoJSON of api.waterdata."""
    usual = {"time_series_id": "a1", "monitoring_location_id": "USGS-01037000", "parameter_code": "00065",
             "statistic_id": "00011", "unit_of_measure": "ft", "approval_status": "Provisional",
             "qualifier": None}  # fmt: skip
    return json.dumps(
        {"type": "FeatureCollection", "features": [{"properties": usual | dict(each)} for each in features]}
    ).encode()


def hubeau(records: Sequence[Mapping[str, Any]], **page: Any) -> bytes:
    """A page of Hub'Eau."""
    return json.dumps({"count": len(records), "next": None, **page, "data": [dict(each) for each in records]}).encode()
