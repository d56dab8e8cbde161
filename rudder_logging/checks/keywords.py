"""Words of SQL that no column or table of a warehouse is called by: it gets `_` in front.

Source: rudder-server 1.66.0, its own transform of 1,158 words; tests/contract has the data.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["WAREHOUSES", "keyword_in"]

WAREHOUSES = {
    "P": "Postgres",
    "R": "Redshift",
    "S": "Snowflake",
    "B": "BigQuery",
    "D": "Databricks",
    "M": "SQL Server and Synapse",
}
"""Names by the letters that stand for them here. ClickHouse has no such words."""

_WORDS = {
    "PRSBDM": (
        "all and any as between case cast create cross distinct else false for from full group "
        "having in inner intersect into is join left like natural not null on or order right "
        "select some then to true union using when where"
    ),
    "PRBDM": "array collate end except outer",
    "PRSDM": (
        "check column constraint current_date current_time current_timestamp current_user grant "
        "table unique"
    ),
    "RSBDM": "with",
    "PRBM": "asc default desc limit new",
    "PRDM": (
        "authorization both foreign leading only overlaps primary references session_user "
        "trailing user"
    ),
    "PRSM": "localtime localtimestamp",
    "RBDM": "partition",
    "SBDM": "by current exists lateral of rows set tablesample",
    "BDM": "at cube escape extract fetch grouping interval no range rollup window",
    "PRM": "binary deferrable initially off old similar",
    "PRS": "ilike",
    "RBM": "ignore",
    "RSD": "minus",
    "SDM": "alter delete drop insert revoke row start update values",
    "BM": "contains if merge over recursive treat unnest within",
    "DM": (
        "commit describe external filter function global local out position rollback time "
        "truncate unknown"
    ),
    "PR": "analyse analyze do freeze isnull notnull offset placing verbose",
    "PM": "asymmetric current_role symmetric",
    "RB": "nulls respect",
    "RM": "backup identity language open percent restore system top without",
    "SB": "following",
    "SM": "connect connection database schema trigger view whenever",
    "B": (
        "assert_rows_modified define enum exclude groups hash lookup preceding proto struct "
        "unbounded"
    ),
    "R": "disable enable offline parallel raw recover sysdate uuid",
    "M": (
        "absolute action ada add admin after aggregate alias allocate are asensitive assertion "
        "atomic avg before begin bit bit_length blob boolean breadth break browse bulk call "
        "called cardinality cascade cascaded catalog char char_length character "
        "character_length checkpoint class clob close clustered coalesce collation collect "
        "completion compute condition constraints containstable continue convert corresponding "
        "count cume_dist current_catalog current_path current_schema cursor cycle data date day "
        "dbcc deallocate dec decimal declare deferred deny depth deref descriptor destroy "
        "destructor deterministic diagnostics dictionary disconnect disk distributed domain "
        "double dump dynamic each equals errlvl every exception exec execute exit file "
        "fillfactor first float fortran found free freetext freetexttable general get go goto "
        "hold holdlock host hour identity_insert identitycol immediate include index indicator "
        "initialize inout input insensitive int integer isolation iterate key kill large last "
        "less level lineno load locator lower map match max member method min minute mod "
        "modifies modify module month names national nchar nclob next nocheck nonclustered none "
        "normalize nullif numeric object octet_length offsets opendatasource openquery "
        "openrowset openxml operation option ordinality output overlay pad parameter parameters "
        "partial pascal percent_rank pivot plan postfix precision prefix preorder prepare "
        "preserve print prior privileges proc procedure public raiserror read reads readtext "
        "real reconfigure ref referencing relative release replication restrict result return "
        "returns revert role routine rowcount rowguidcol rule save savepoint scope scroll "
        "search second section securityaudit sensitive sequence session sets setuser shutdown "
        "size smallint space specific specifictype sql sqlcode sqlerror sqlexception sqlstate "
        "sqlwarning statement static statistics structure substring sum system_user temporary "
        "terminate textsize than timezone_hour timezone_minute tran transaction translate "
        "translation trim tsequal uescape under unpivot updatetext upper usage use value "
        "varchar variable varying waitfor while work write writetext xmlattributes xmlconcat "
        "xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlserialize xmltable year "
        "zone"
    ),
    "S": "account gscluster increment issue organization qualify regexp rlike sample try_cast",
}


@lru_cache(maxsize=1)
def _letters() -> dict[str, str]:
    return {word: letters for letters, words in _WORDS.items() for word in words.split()}


def keyword_in(name: str) -> list[str]:
    """The warehouses in which a column's or table's name is a word of SQL."""
    return [WAREHOUSES[letter] for letter in _letters().get(name, "")]
