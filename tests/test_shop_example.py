"""The sample app, broken on purpose: what its tests then say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

SHOP = Path(__file__).parent.parent / "examples" / "shop"

ORDER = "track 'Order Completed' by 'customer-1', at app.py:*"

BROKEN = {
    "names and levels": (
        {
            '"Order Completed",': '"Order Complete",',
            '"shop": {"level": "INFO"}': '"shop": {"level": "WARNING"}',
            '{"coupon": coupon}': '{"coupon": coupon, "id": coupon}',
        },
        [
            "*_ test_order _*",
            "E * no track event with event='Order Completed', userId='customer-1', *",
            "E *   track 'Order Complete' by 'customer-1', at app.py:*",
            "E *     event is 'Order Complete', not 'Order Completed'",
            "*_ test_coupon _*",
            "*_ test_events_would_leave _*",
            "E * 3 of 3 events would not leave:",
            "E *   track 'Coupon Entered' by *: the level of logger 'shop' is WARNING",
            "*_ test_plan _*",
            "E * 1 of 5 events does not conform to *plan.json:",
            "E *   track 'Order Complete' by *: the plan has no track event of that name; did *",
            "*app.py:*: WarehouseWarning: track 'Coupon Entered': properties.id is dropped: *",
        ],
    ),
    "values and ids": (
        {
            '"revenue": total': '"revenue": str(total)',
            '"price": price}': '"price": price, "sku": sku.upper()}',
            '"identify", "user_id"': '"identify", "userid"',
        },
        [
            "*ERROR at teardown of test_plan*",
            "1 event was refused at the call, and would be lost:",
            "  event refused at */app.py:*: identify: unknown field 'userid'; did you mean *",
            "*_ test_order _*",
            f"E *   {ORDER}",
            "E *     properties.revenue is '22.00', not Decimal('22.00')",
            "E *     properties.products[[]0].sku is 'BOOK-1', not 'book-1'",
            "*_ test_visitor _*",
            "E * no event with traits=*: <no identify event with userId='customer-1' among 0 ev*",
            "E *Refused at the call:",
            "E *   event refused at */app.py:*: identify: unknown field 'userid'; did you mean *",
            "*_ test_plan _*",
            "E * 1 of 4 events does not conform to *plan.json:",
            f"E *   {ORDER}: properties.revenue must be a number, and is a string",
        ],
    ),
    "numbers": (
        {
            '    logger.info(\n        "Order Completed",': (
                '    for _ in range(2): logger.info(\n        "Order Completed",'
            )
        },
        [
            "*_ test_order _*",
            "E * 2 events match, not one: track event with event='Order Completed', *",
            f"E *   {ORDER}",
            f"E *   {ORDER}",
            "*_ test_coupon _*",
            "E * assert 3 == 2",
            "E * where 3 = len(<3 events: track 'Coupon Entered' by 'customer-1' at app.py:*",
        ],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_shop(pytester: pytest.Pytester, case: str) -> None:
    """The failures tell what is wrong with the app's events, and where it logs them."""
    changes, texts = BROKEN[case]
    for path in SHOP.iterdir():
        if path.is_file():
            shutil.copy(path, pytester.path)
    app = pytester.path / "app.py"
    code = app.read_text()
    for right, wrong in changes.items():
        assert code.count(right) == 1, right
        code = code.replace(right, wrong)
    app.write_text(code)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--tb=short")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(texts)
