"""The vocabulary of the sample warehouse: people of many scripts, companies, titles, products.

Names are chosen to be awkward in the ways that real ones are: accents, apostrophes, hyphens, no Latin letter at all.
"""

from __future__ import annotations

from typing import NamedTuple


class Locale(NamedTuple):
    """A country and the names that are common there; `family_first` says how a full name is written."""

    country: str
    city: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False


LOCALES: tuple[Locale, ...] = (
    Locale("United States", "Denver", ("Maya", "DeShawn", "Grace", "Tyler"), ("O'Connor", "Washington", "Nguyen")),
    Locale("United Kingdom", "Leeds", ("Siân", "Oliver", "Priya"), ("St. John-Smythe", "Achebe", "O’Rourke")),
    Locale("Ireland", "Cork", ("Aoife", "Seán", "Róisín"), ("Ó Súilleabháin", "Ní Bhriain", "D'Arcy")),
    Locale("Germany", "Köln", ("Jürgen", "Käthe", "Sören"), ("Müller-Lüdenscheidt", "Groß", "von der Leyden")),
    Locale("France", "Besançon", ("François", "Maëlys", "Anaïs"), ("L'Hôpital", "Lefèvre", "d’Aubigné")),
    Locale("Spain", "Logroño", ("Íñigo", "María José", "Begoña"), ("Muñoz Peña", "Ibáñez", "Núñez")),
    Locale("Brazil", "São Paulo", ("João", "Conceição", "Luís"), ("Gonçalves", "Araújo", "da Conceição")),
    Locale("Denmark", "Aarhus", ("Søren", "Åse", "Bjørn"), ("Ærøskøbing", "Møller", "Østergård")),
    Locale("Iceland", "Reykjavík", ("Þórdís", "Guðmundur", "Ásgeir"), ("Jónsdóttir", "Þorsteinsson", "Björnsson")),
    Locale("Poland", "Łódź", ("Żaneta", "Łukasz", "Michał"), ("Wiśniewska", "Brzęczyszczykiewicz", "Źródło")),
    Locale("Czechia", "Plzeň", ("Jiří", "Žofie", "Ondřej"), ("Dvořák", "Křížová", "Šťastný")),
    Locale("Hungary", "Győr", ("Gergő", "Zsófia", "Ernő"), ("Szőke", "Kőműves", "Kovács"), True),
    Locale("Türkiye", "İzmir", ("İbrahim", "Gülşen", "Çağrı"), ("Yıldız", "Öztürk", "Şahin")),
    Locale("Viet Nam", "Đà Nẵng", ("Thị Hương", "Đức", "Quỳnh"), ("Nguyễn", "Đặng", "Trần"), True),
    Locale("Nigeria", "Ìbàdàn", ("Olúwaṣeun", "Ọláyẹmí", "Ṣadé"), ("Adéyẹmí", "Ògúnlẹ́sì", "Akínwándé")),
    Locale("Greece", "Αθήνα", ("Ελένη", "Γιώργος", "Χρύσα"), ("Παπαδόπουλος", "Νικολαΐδη", "Ξενάκης")),
    Locale("Ukraine", "Львів", ("Соломія", "Андрій", "Юлія"), ("Шевченко", "В'юнник", "Ґалаґан")),
    Locale("Georgia", "თბილისი", ("ნინო", "გიორგი"), ("ბერიძე", "კაპანაძე")),
    Locale("Armenia", "Երևան", ("Անահիտ", "Հայկ"), ("Սարգսյան", "Պետրոսյան")),
    Locale("Israel", "חיפה", ("נועה", "יונתן"), ("כהן", "בן־דוד")),
    Locale("Egypt", "القاهرة", ("فاطمة", "محمد", "يوسف"), ("عبد الرحمن", "الشريف")),
    Locale("India", "मुंबई", ("आदित्य", "प्रिया", "श्रेया"), ("कृष्णमूर्ति", "शर्मा", "चौधरी")),
    Locale("Thailand", "กรุงเทพ", ("สมชาย", "ปิยะนุช"), ("ศรีสุวรรณ", "วงศ์ใหญ่")),
    Locale("Japan", "大阪", ("さくら", "健太", "陽菜"), ("渡邊", "髙橋", "小野寺"), True),
    Locale("South Korea", "부산", ("서연", "민준", "지우"), ("김", "황보", "박"), True),
    Locale("China", "上海", ("伟", "子涵", "晓明"), ("欧阳", "王", "吕"), True),
)

ORGANIZATION_STEMS = (
    "Northwind", "Lumen", "Æther", "Kestrel", "Blå Fjord", "Ostrava", "Solé", "Harbor & Pine", "Zażółć", "Meridian",
    "O'Malley", "Quantum Crêpe", "Grünwald", "Tidewater", "Ñandú", "Cobalt", "Fjäll", "Sakura 桜", "Amber", "Koru",
)  # fmt: skip
ORGANIZATION_KINDS = ("Group", "Holdings", "Industries", "Partners", "Collective", "International")

ACCOUNT_STEMS = (
    "Acorn", "Bright", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Hollow", "Indigo", "Juniper", "Kite", "Lantern",
    "Maple", "Nimbus", "Orchard", "Pebble", "Quill", "Raven", "Summit", "Thistle", "Umbra", "Velvet", "Willow", "Yarn",
)  # fmt: skip
ACCOUNT_KINDS = (
    "Analytics", "Logistics", "Freight", "Health", "Labs", "Robotics", "Foods", "Studios", "Energy", "Insurance",
    "Learning", "Mobility", "Payments", "Security", "Textiles", "Travel", "Works",
)  # fmt: skip
LEGAL_FORMS = ("Inc.", "Ltd", "GmbH & Co. KG", "S.A.", "A/S", "s.r.o.", "Pty Ltd", "株式会社", "")

# Names that break careless code: quotes, emoji with joiners, SQL, markup, right-to-left script, great length.
ODD_ACCOUNT_NAMES = (
    'The "Best" Bakery 🥐',
    "Rock 'n' Roll Records 🎸",
    "Robert'); DROP TABLE accounts;-- & Sons",
    "<b>Bold</b> & Brave {{ agency }}",
    "شركة النيل للتجارة",
    "👩‍👩‍👧‍👦 Family First Childcare",
    "Rhubarb\\Custard / 100 % Plums",
    "Gesellschaft für hochwertige Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtenbekleidung mbH, "
    "Zweigniederlassung Passau an Donau, Inn und Ilz",
)

INDUSTRIES = ("Logistics", "Healthcare", "Retail", "Fintech", "Education", "Manufacturing", "Media", "Public sector")
PLANS = ("free", "starter", "growth", "business", "enterprise")
SEAT_PRICE = {"free": "0.00", "starter": "9.90", "growth": "19.50", "business": "34.75", "enterprise": "59.99"}

TITLES = (
    "Operations Lead", "Head of Customer Success", "Data Analyst", "VP Sales", "Support Engineer", "Founder & CEO",
    "Office Manager", "Chargée de clientèle", "Geschäftsführer", "IT Administrator", "Product Manager",
)  # fmt: skip
NEW_TITLES = ("Chief of Staff", "Director of Operations", "Principal Analyst", "Head of Data", "Regional VP")
ROLES = ("admin", "member", "member", "member", "viewer", "billing")
TAGS = (
    "champion",
    "beta",
    "newsletter",
    "power user",
    "at risk",
    "event: Köln ’26",
    "🚀 early adopter",
    'says "maybe"',
)
RISKS = ("few logins", "open invoice", "champion left", "support backlog")

EVENTS = (
    ("Signed in", ()),
    ("Report exported", ("format", "rows")),
    ("Dashboard viewed", ("dashboard", "seconds")),
    ("Teammate invited", ("role",)),
    ("Integration connected", ("integration",)),
    ("Comment added", ("text",)),
)
EVENT_VALUES: dict[str, tuple[object, ...]] = {
    "format": ("csv", "xlsx", "pdf"),
    "rows": (12, 480, 12_000, 250_000),
    "dashboard": ("Revenue", "Churn", "Équipe « Nord »", "売上"),
    "seconds": (0.4, 3.25, 41.0, None),
    "role": ("member", "viewer"),
    "integration": ("slack", "salesforce", "jira"),
    "text": ("Looks good 👍", "It's 5\" too wide", "Пожалуйста, проверьте", "第一行\n第二行"),
}
