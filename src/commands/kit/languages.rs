//! The sentences of the error page, by hand, in each language that it speaks.
//!
//! Invariant: the first language is English, codes are those of BCP 47 that a browser sends, and a
//! text holds no markup: it is escaped where it is written into a page. What the sentences say is the same
//! everywhere: what happened, that it is not the reader's fault, that we know, and what to do.

/// One language of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Language {
    /// BCP 47, in the writing that `lang` has.
    pub(super) code: &'static str,
    /// What its speakers call it.
    pub(super) name: &'static str,
    /// Whether it is written from right to left.
    pub(super) right_to_left: bool,
    /// Heading, and title of the page.
    pub(super) title: &'static str,
    /// What happened, and whose fault it is not.
    pub(super) what: &'static str,
    /// That we know, and what to do.
    pub(super) then: &'static str,
    /// On the button that loads the page again.
    pub(super) retry: &'static str,
    /// On the link to the status page.
    pub(super) status: &'static str,
}

impl Language {
    /// What `dir` is to be.
    pub(super) fn direction(&self) -> &'static str {
        if self.right_to_left { "rtl" } else { "ltr" }
    }
}

/// The language of a code, in any case.
pub(super) fn language(code: &str) -> Option<&'static Language> {
    LANGUAGES
        .iter()
        .find(|language| language.code.eq_ignore_ascii_case(code))
}

/// All of them, in the order in which the chooser has them.
pub(super) static LANGUAGES: [Language; 19] = [
    Language {
        code: "en",
        name: "English",
        right_to_left: false,
        title: "We cannot show this page right now",
        what: "Our server did not answer in time. This is our fault, not yours: your device and your connection are fine.",
        then: "We have been told about it. Please try again in a minute.",
        retry: "Try again",
        status: "Service status",
    },
    Language {
        code: "cs",
        name: "Čeština",
        right_to_left: false,
        title: "Tuto stránku teď nemůžeme zobrazit",
        what: "Náš server včas neodpověděl. Chyba je u nás, ne u vás: vaše zařízení i připojení jsou v pořádku.",
        then: "O problému už víme. Zkuste to prosím za minutu znovu.",
        retry: "Zkusit znovu",
        status: "Stav služby",
    },
    Language {
        code: "da",
        name: "Dansk",
        right_to_left: false,
        title: "Vi kan ikke vise denne side lige nu",
        what: "Vores server svarede ikke i tide. Fejlen er vores, ikke din: der er intet galt med din enhed eller din forbindelse.",
        then: "Vi har fået besked. Prøv igen om et minut.",
        retry: "Prøv igen",
        status: "Driftsstatus",
    },
    Language {
        code: "de",
        name: "Deutsch",
        right_to_left: false,
        title: "Diese Seite lässt sich gerade nicht anzeigen",
        what: "Unser Server hat nicht rechtzeitig geantwortet. Das liegt an uns, nicht an Ihnen: Ihr Gerät und Ihre Verbindung sind in Ordnung.",
        then: "Wir wissen Bescheid. Bitte versuchen Sie es in einer Minute noch einmal.",
        retry: "Noch einmal versuchen",
        status: "Aktueller Status",
    },
    Language {
        code: "es",
        name: "Español",
        right_to_left: false,
        title: "Ahora mismo no podemos mostrar esta página",
        what: "Nuestro servidor no ha respondido a tiempo. El fallo es nuestro, no suyo: su dispositivo y su conexión funcionan bien.",
        then: "Ya estamos avisados. Vuelva a intentarlo dentro de un minuto.",
        retry: "Volver a intentarlo",
        status: "Estado del servicio",
    },
    Language {
        code: "fr",
        name: "Français",
        right_to_left: false,
        title: "Impossible d’afficher cette page pour le moment",
        what: "Notre serveur n’a pas répondu à temps. Le problème vient de nous, pas de vous : votre appareil et votre connexion fonctionnent bien.",
        then: "Nous sommes prévenus. Veuillez réessayer dans une minute.",
        retry: "Réessayer",
        status: "État du service",
    },
    Language {
        code: "it",
        name: "Italiano",
        right_to_left: false,
        title: "Al momento non possiamo mostrare questa pagina",
        what: "Il nostro server non ha risposto in tempo. L’errore è nostro, non suo: il suo dispositivo e la sua connessione funzionano.",
        then: "Siamo già stati avvisati. Riprovi tra un minuto.",
        retry: "Riprova",
        status: "Stato del servizio",
    },
    Language {
        code: "nl",
        name: "Nederlands",
        right_to_left: false,
        title: "We kunnen deze pagina nu niet tonen",
        what: "Onze server heeft niet op tijd geantwoord. Dat ligt aan ons, niet aan u: met uw apparaat en uw verbinding is niets mis.",
        then: "We zijn op de hoogte. Probeer het over een minuut opnieuw.",
        retry: "Opnieuw proberen",
        status: "Status van de dienst",
    },
    Language {
        code: "pl",
        name: "Polski",
        right_to_left: false,
        title: "Nie możemy teraz wyświetlić tej strony",
        what: "Nasz serwer nie odpowiedział na czas. To nasz błąd, nie Twój: Twoje urządzenie i połączenie działają prawidłowo.",
        then: "Wiemy już o tym. Spróbuj ponownie za minutę.",
        retry: "Spróbuj ponownie",
        status: "Stan usługi",
    },
    Language {
        code: "pt-BR",
        name: "Português",
        right_to_left: false,
        title: "Não conseguimos mostrar esta página agora",
        what: "Nosso servidor não respondeu a tempo. O problema é nosso, não seu: seu dispositivo e sua conexão estão funcionando.",
        then: "Já fomos avisados. Tente novamente em um minuto.",
        retry: "Tentar novamente",
        status: "Status do serviço",
    },
    Language {
        code: "sv",
        name: "Svenska",
        right_to_left: false,
        title: "Vi kan inte visa sidan just nu",
        what: "Vår server svarade inte i tid. Felet ligger hos oss, inte hos dig: din enhet och din anslutning fungerar som de ska.",
        then: "Vi har fått veta det. Försök igen om en minut.",
        retry: "Försök igen",
        status: "Driftstatus",
    },
    Language {
        code: "tr",
        name: "Türkçe",
        right_to_left: false,
        title: "Bu sayfayı şu anda gösteremiyoruz",
        what: "Sunucumuz zamanında yanıt vermedi. Sorun sizde değil, bizde: cihazınız ve bağlantınız çalışıyor.",
        then: "Durumdan haberimiz var. Lütfen bir dakika sonra yeniden deneyin.",
        retry: "Yeniden dene",
        status: "Hizmet durumu",
    },
    Language {
        code: "ru",
        name: "Русский",
        right_to_left: false,
        title: "Сейчас мы не можем показать эту страницу",
        what: "Наш сервер не ответил вовремя. Это наша ошибка, а не ваша: с вашим устройством и соединением всё в порядке.",
        then: "Мы уже знаем об этом. Попробуйте ещё раз через минуту.",
        retry: "Попробовать ещё раз",
        status: "Состояние сервиса",
    },
    Language {
        code: "uk",
        name: "Українська",
        right_to_left: false,
        title: "Зараз ми не можемо показати цю сторінку",
        what: "Наш сервер не відповів вчасно. Це наша помилка, а не ваша: з вашим пристроєм і з’єднанням усе гаразд.",
        then: "Ми вже знаємо про це. Спробуйте ще раз за хвилину.",
        retry: "Спробувати ще раз",
        status: "Стан сервісу",
    },
    Language {
        code: "ar",
        name: "العربية",
        right_to_left: true,
        title: "لا يمكننا عرض هذه الصفحة الآن",
        what: "لم يستجب خادمنا في الوقت المناسب. الخطأ من جانبنا وليس من جانبك: جهازك واتصالك يعملان بشكل سليم.",
        then: "وصلنا إشعار بالمشكلة. يُرجى المحاولة مرة أخرى بعد دقيقة.",
        retry: "المحاولة مرة أخرى",
        status: "حالة الخدمة",
    },
    Language {
        code: "he",
        name: "עברית",
        right_to_left: true,
        title: "אי אפשר להציג את הדף הזה כרגע",
        what: "השרת שלנו לא ענה בזמן. התקלה אצלנו ולא אצלך: המכשיר והחיבור שלך תקינים.",
        then: "כבר קיבלנו על כך דיווח. אפשר לנסות שוב בעוד דקה.",
        retry: "לנסות שוב",
        status: "מצב השירות",
    },
    Language {
        code: "ja",
        name: "日本語",
        right_to_left: false,
        title: "現在このページを表示できません",
        what: "サーバーから時間内に応答がありませんでした。原因は当方にあり、お使いの端末や通信回線に問題はありません。",
        then: "この問題はすでに把握しています。1分ほどしてからもう一度お試しください。",
        retry: "再試行",
        status: "サービスの状況",
    },
    Language {
        code: "ko",
        name: "한국어",
        right_to_left: false,
        title: "지금은 이 페이지를 표시할 수 없습니다",
        what: "서버가 제시간에 응답하지 않았습니다. 저희 쪽 문제이며, 사용하시는 기기와 인터넷 연결에는 이상이 없습니다.",
        then: "문제를 이미 파악하고 있습니다. 1분 후에 다시 시도해 주세요.",
        retry: "다시 시도",
        status: "서비스 상태",
    },
    Language {
        code: "zh-Hans",
        name: "简体中文",
        right_to_left: false,
        title: "暂时无法显示此页面",
        what: "我们的服务器未能及时响应。问题出在我们这边，您的设备和网络连接没有问题。",
        then: "我们已得知此情况。请一分钟后重试。",
        retry: "重试",
        status: "服务状态",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_first_and_no_code_is_there_twice() {
        assert_eq!(LANGUAGES[0].code, "en");
        for (at, language) in LANGUAGES.iter().enumerate() {
            let same = |other: &Language| other.code.eq_ignore_ascii_case(language.code);
            assert_eq!(LANGUAGES.iter().position(same), Some(at));
        }
    }

    #[test]
    fn codes_are_found_in_any_case() {
        assert_eq!(language("PT-br").map(|found| found.code), Some("pt-BR"));
        assert_eq!(language("pt"), None);
    }

    #[test]
    fn every_sentence_is_there_once() {
        let texts =
            |language: &Language| [language.title, language.what, language.then, language.retry];
        let mut all: Vec<&str> = LANGUAGES.iter().flat_map(texts).collect();
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        all.retain(|text| !text.is_empty());
        assert_eq!(all.len(), before);
    }
}
